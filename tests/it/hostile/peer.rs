//! Who is at the other end: other users, inherited sockets, reused four-tuples, other networks.
