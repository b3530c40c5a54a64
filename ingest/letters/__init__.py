"""Dead letters put right: declared steps, what they may be, and judging kept events again."""
