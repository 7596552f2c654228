//! Connections that fail in the middle, and servers that change while they are in use.

use super::*;
