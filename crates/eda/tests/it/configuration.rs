use eda::config::{ConfigError, from_env};
use envconfig::Envconfig;

#[derive(Debug, Envconfig)]
struct Missing {
    #[envconfig(from = "EDA_TEST_VARIABLE_THAT_NOBODY_SETS")]
    _table: String,
}

#[derive(Debug, Envconfig)]
struct Malformed {
    // Cargo sets it for every test, to a path.
    #[envconfig(from = "CARGO_MANIFEST_DIR")]
    _number: u32,
}

#[test]
fn a_missing_variable_is_named() {
    let error: ConfigError = from_env::<Missing>().unwrap_err();
    assert_eq!(error.to_string(), "EDA_TEST_VARIABLE_THAT_NOBODY_SETS is not set");
}

#[test]
fn a_malformed_variable_is_named_and_its_value_is_not_shown() {
    let error: ConfigError = from_env::<Malformed>().unwrap_err();
    assert_eq!(error.to_string(), "CARGO_MANIFEST_DIR has an unusable value");
}
