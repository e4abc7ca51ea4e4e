"""Values every process shares: errors, labels, times, cursors. No input or output here."""
