"""The paper's tables and figures from runs of one's own, a module each."""
