//! Functions of the template and packages of the workspace.

use std::collections::BTreeSet;

use crate::inspect::{TEMPLATE, text};

#[test]
fn each_function_runs_the_binary_of_its_package_and_each_package_is_deployed() {
    let deployed: BTreeSet<_> = TEMPLATE.functions().into_values().map(|function| function.binary).collect();
    let packages: BTreeSet<_> = system_tests::function_folders()
        .unwrap()
        .iter()
        .map(|folder| folder.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();

    assert_eq!(deployed, packages, "left: functions of the template, right: packages in functions/");
}

#[test]
fn a_package_bears_its_folders_name_and_has_a_binary_and_a_library() {
    for folder in system_tests::function_folders().unwrap() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();

        assert!(
            manifest.lines().any(|line| line == format!("name = \"{name}\"")),
            "{name}: the package has another name"
        );
        for file in ["src/main.rs", "src/lib.rs"] {
            assert!(folder.join(file).is_file(), "{name} has no {file}");
        }
    }
}

#[test]
fn a_function_is_named_after_its_binary() {
    for function in TEMPLATE.functions().values() {
        let camel: String = function.binary.split('-').map(capitalised).collect();

        assert_eq!(function.logical_id, format!("{camel}Function"));
        assert_eq!(text(&function.properties["CodeUri"]), format!("functions/{}", function.binary));
    }
}

#[test]
fn a_function_logs_to_a_group_whose_lines_expire() {
    for function in TEMPLATE.functions().values() {
        let group = text(&function.properties["LoggingConfig"]["LogGroup"]);
        let group = crate::inspect::resource(group);

        assert_eq!(group.kind, "AWS::Logs::LogGroup");
        assert!(group.properties["RetentionInDays"].as_u64().is_some_and(|days| days > 0));
        assert!(text(&group.properties["LogGroupName"]).ends_with(&function.binary));
    }
}

#[test]
fn every_function_logs_json_and_is_traced() {
    for function in TEMPLATE.functions().values() {
        assert_eq!(function.properties["LoggingConfig"]["LogFormat"], "JSON", "{}", function.logical_id);
        assert_eq!(function.properties["Tracing"], "Active", "{}", function.logical_id);
    }
}

#[test]
fn the_api_is_closed_to_all_but_signed_requests() {
    let apis = TEMPLATE.resources("AWS::Serverless::HttpApi");
    let [api] = apis.as_slice() else { panic!("one API is expected, there are {}", apis.len()) };

    assert_eq!(api.properties["Auth"]["EnableIamAuthorizer"], true);
    assert_eq!(api.properties["Auth"]["DefaultAuthorizer"], "AWS_IAM");
    for function in TEMPLATE.functions().values() {
        for event in function.properties["Events"].as_object().into_iter().flat_map(|all| all.values()) {
            assert_eq!(event["Properties"].get("Auth"), None, "{} opens its route", function.logical_id);
        }
    }
}

#[test]
fn the_outputs_name_every_table_queue_bus_bucket_and_state_machine_by_logical_id_and_the_apis_address() {
    let expected: BTreeSet<_> = [
        "AWS::DynamoDB::Table",
        "AWS::SQS::Queue",
        "AWS::Events::EventBus",
        "AWS::S3::Bucket",
        "AWS::Serverless::StateMachine",
    ]
    .into_iter()
    .flat_map(|kind| TEMPLATE.resources(kind))
    .map(|resource| resource.logical_id)
    .chain(["ApiUrl".to_owned()])
    .collect();
    let outputs = TEMPLATE.outputs();

    assert_eq!(outputs.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (name, value) in outputs.iter().filter(|(name, _)| *name != "ApiUrl") {
        assert_eq!(value, name.as_str(), "the output's key is the logical id of what it names");
    }
}

fn capitalised(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}
