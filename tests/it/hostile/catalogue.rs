//! The catalogue in `docs/threat-model.md` and the tests, held together.
