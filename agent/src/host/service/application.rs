//! Application servers: programs that say on their command line which application they serve.

/// Options of application servers that name the application in so many words, by server.
const OPTIONS: &[(&str, &[&str])] =
    &[("celery", &["-A", "--app"]), ("flask", &["-A", "--app"]), ("uwsgi", &["-w", "--module", "--wsgi-file"])];

/// Servers that take `package.module:object` as an argument.
const POSITIONAL: &[&str] = &["daphne", "granian", "gunicorn", "hypercorn", "uvicorn", "waitress-serve"];

/// The application that `server`, called with `arguments`, serves; none if it is no such server or does not say.
pub(super) fn of(server: &str, arguments: &[String]) -> Option<String> {
    let named = if POSITIONAL.contains(&server) {
        positional(arguments)?
    } else {
        let (_, options) = OPTIONS.iter().find(|(name, _)| *name == server)?;
        option_value(options, arguments)?
    };
    let name = package(super::stem(named));
    (!name.is_empty()).then(|| name.to_owned())
}

/// The application's package: `shop.wsgi:app` and `shop.main:create()` are `shop`, `wsgi:app` is `wsgi`. Last parts
/// that every application has are left out while something is left.
pub(super) fn package(application: &str) -> &str {
    const GENERIC: &[&str] = &["app", "application", "asgi", "main", "server", "wsgi"];
    let mut module = application.split(':').next().unwrap_or(application);
    while let Some((rest, last)) = module.rsplit_once('.') {
        if !GENERIC.contains(&last) || rest.is_empty() {
            break;
        }
        module = rest;
    }
    module
}

/// The argument of the form `module:object`; else a last one that can be a module and belongs to no option.
fn positional(arguments: &[String]) -> Option<&str> {
    let explicit = arguments.iter().enumerate().find(|(index, argument)| {
        let option = index.checked_sub(1).map(|before| &arguments[before]);
        !option.is_some_and(|option| option.ends_with("bind") || option == "-b")
            && argument.split_once(':').is_some_and(|(module, object)| is_module(module) && is_object(object))
    });
    if let Some((_, argument)) = explicit {
        return Some(argument);
    }
    let last = arguments.last()?;
    let before = arguments.iter().rev().nth(1);
    (is_module(last) && !before.is_some_and(|option| option.starts_with('-'))).then_some(last.as_str())
}

fn option_value<'a>(options: &[&str], arguments: &'a [String]) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(index, argument)| {
        if options.contains(&argument.as_str()) {
            return arguments.get(index + 1).map(String::as_str);
        }
        let (option, value) = argument.split_once('=')?;
        options.contains(&option).then_some(value)
    })
}

fn is_module(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

/// `app`, `app.wsgi`, `create_app()`.
fn is_object(text: &str) -> bool {
    is_module(text.split('(').next().unwrap_or(text))
}

fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || character == '_')
}
