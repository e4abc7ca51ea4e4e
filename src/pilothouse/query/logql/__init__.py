"""LogQL: lexer, ast, parser, printer and rules, in the order things happen."""
