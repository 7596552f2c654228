//! JSON Schemas of actions' parameters: read once, at registration; each invocation is checked against them.

#[cfg(feature = "actions")]
pub(super) use with::Schema;
#[cfg(not(feature = "actions"))]
pub(super) use without::Schema;

#[cfg(feature = "actions")]
mod with {
    use boon::{CompileError, Compiler, SchemaIndex, Schemas, SchemeUrlLoader};
    use serde_json::Value;

    /// Where a schema stands while it is compiled: nowhere, and nothing is fetched from there or from elsewhere.
    const NOWHERE: &str = "https://schema.invalid/params";

    /// What the parameters of an action must be.
    pub(in crate::agent::client) struct Schema {
        schemas: Schemas,
        root: SchemaIndex,
    }

    /// In one line, with the place in the schema.
    fn reason(error: &CompileError) -> String {
        let told = match error {
            CompileError::ValidationError { src, .. } => src.to_string(),
            error => format!("{error:#}"),
        };
        let parts: Vec<_> = told.lines().map(|line| line.trim_start_matches([' ', '-'])).collect();
        parts.join("; ").replace(NOWHERE, "the schema")
    }

    impl Schema {
        /// Reads a schema; else says what is wrong with it.
        pub(in crate::agent::client) fn compile(schema: Value) -> Result<Self, String> {
            let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
            // No scheme is known: a reference to anywhere outside the schema is a fault of the schema.
            compiler.use_loader(Box::new(SchemeUrlLoader::new()));
            compiler.add_resource(NOWHERE, schema).map_err(|error| error.to_string())?;
            let root = compiler.compile(NOWHERE, &mut schemas).map_err(|error| reason(&error))?;
            Ok(Self { schemas, root })
        }

        /// Whether parameters fit; else where they do not.
        pub(in crate::agent::client) fn check(&self, params: &Value) -> Result<(), String> {
            self.schemas.validate(params, self.root).map_err(|error| error.instance_location.to_string())
        }
    }
}

#[cfg(not(feature = "actions"))]
mod without {
    use serde_json::Value;

    /// There is none: what cannot be checked is not performed, so no action can be registered.
    pub(in crate::agent::client) enum Schema {}

    impl Schema {
        pub(in crate::agent::client) fn compile(_: Value) -> Result<Self, String> {
            Err("this agent was built without actions (the feature `actions` of loopkey)".to_owned())
        }

        pub(in crate::agent::client) fn check(&self, _: &Value) -> Result<(), String> {
            match *self {}
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn without_actions_no_schema_is_one() {
            for schema in [serde_json::json!({}), Value::Bool(true)] {
                assert!(Schema::compile(schema).is_err_and(|reason| reason.contains("built without actions")));
            }
        }
    }
}
