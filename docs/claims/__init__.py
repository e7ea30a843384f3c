"""Our own prose held against the rules that the product applies to others, and every figure in it sourced."""
