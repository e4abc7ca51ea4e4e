"""Query languages: text to syntax tree to plan, and back to text. No input or output."""
