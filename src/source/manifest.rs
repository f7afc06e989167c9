//! YAML with line and column.
