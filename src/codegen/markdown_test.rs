use super::*;
use crate::testing::compile;

fn page(content: &str) -> String {
    let content = format!("package shop.v1;\n{content}");
    markdown(&compile(&[("shop.proto", &content)]), "shop.proto", None).unwrap()
}

#[test]
fn a_page_lists_calls_messages_and_enums_in_order_of_first_use() {
    let page = page(
        "// Finds things.
        service Shop {
            // Finds one.
            rpc Find(Query) returns (Found);
        }
        // No call needs it.
        message Unused {}
        enum Kind {
            // Not known.
            KIND_UNSPECIFIED = 0;
            KIND_OLD = -3; // No longer used.
        }
        // What was found.
        message Found { repeated Thing things = 7; }
        // A thing | of the shop,
        // of any kind.
        message Thing { Kind kind = 2; }
        // What to look for.
        message Query {
            string text = 3; // In any language.
            optional int32 limit = 9;
            map<string, Thing> like = 4;
            oneof by { bool price = 10; Nested nested = 11; }
            message Nested {}
        }",
    );
    let expected = "\
# `shop.v1.Shop`

Finds things.

Generated from `shop.proto`.

## Calls

### `Find`

Finds one.

| request | response |
|---|---|
| [`shop.v1.Query`](#shopv1query) | [`shop.v1.Found`](#shopv1found) |

## Messages

### `shop.v1.Query`

What to look for.

| field | number | type | |
|---|---|---|---|
| `text` | 3 | `string` | In any language. |
| `limit` | 9 | optional `int32` |  |
| `like` | 4 | map of `string` to [`shop.v1.Thing`](#shopv1thing) |  |
| `price` | 10 | `bool` | One of `by`. |
| `nested` | 11 | [`shop.v1.Query.Nested`](#shopv1querynested) | One of `by`. |

### `shop.v1.Thing`

A thing | of the shop,
of any kind.

| field | number | type | |
|---|---|---|---|
| `kind` | 2 | [`shop.v1.Kind`](#shopv1kind) |  |

### `shop.v1.Query.Nested`

No fields.

### `shop.v1.Found`

What was found.

| field | number | type | |
|---|---|---|---|
| `things` | 7 | repeated [`shop.v1.Thing`](#shopv1thing) |  |

## Enums

### `shop.v1.Kind`

| value | number | |
|---|---|---|
| `KIND_UNSPECIFIED` | 0 | Not known. |
| `KIND_OLD` | -3 | No longer used. |
";
    assert_eq!(page, expected);
}

#[test]
fn annotations_take_precedence_over_comments() {
    let annotated = |kind: &str, text: &str| {
        format!(
            "(privacysandbox.apis.roma.app_api.v1.roma_{kind}_annotation) = {{description: {text:?}}}"
        )
    };
    let page = page(&format!(
        "import \"privacysandbox/apis/roma/app_api/v1/options.proto\";
        // A comment.
        service Shop {{ option {}; rpc Find(Query) returns (Query) {{ option {}; }} }}
        // A comment.
        message Query {{
            option {};
            Kind kind = 1 [{}]; // A comment.
            enum Kind {{ option {}; KIND_UNSPECIFIED = 0 [{}]; }}
        }}",
        annotated("svc", "The shop."),
        annotated("rpc", "The call."),
        annotated("mesg", "The message."),
        annotated("field", "The field: a | b."),
        annotated("enum", "The enum."),
        annotated("enumval", "The value."),
    ));
    for description in [
        "The shop.",
        "The call.",
        "The message.",
        "The field: a \\| b.",
        "The enum.",
        "The value.",
    ] {
        assert!(page.contains(description), "no {description:?} in {page}");
    }
    assert!(!page.contains("A comment."), "{page}");
}

#[test]
fn recursive_messages_and_protobuf_messages_are_documented() {
    let page = page(
        "import \"google/protobuf/timestamp.proto\";
        service Shop { rpc Find(Tree) returns (Tree); }
        message Tree { Tree left = 1; google.protobuf.Timestamp at = 2; }",
    );
    assert_eq!(page.matches("### `shop.v1.Tree`").count(), 1);
    assert!(
        page.contains("| `at` | 2 | `google.protobuf.Timestamp` |"),
        "{page}"
    );
    assert!(!page.contains("### `google"), "{page}");
}
