use super::*;

/// The name of a process with this executable and these arguments.
fn named(executable: &str, arguments: &[&str]) -> Name {
    let mut cmdline = arguments.join("\0").into_bytes();
    cmdline.push(0);
    name(executable, &cmdline)
}

#[track_caller]
fn check(executable: &str, command: &str, expected: &str) {
    let arguments: Vec<&str> = command.split(' ').collect();
    let name = named(executable, &arguments);
    assert_eq!(name.text, expected, "{command}");
    assert_eq!(name.source, Source::Command, "{command}");
}

const PYTHON: &str = "/usr/bin/python3.11";

#[test]
fn python_programs_and_modules() {
    check(PYTHON, "python3 /srv/app/main.py --port 8000", "main");
    check(PYTHON, "python3 -u -X dev -Wignore shop.py", "shop");
    check(PYTHON, "python3 -m http.server 8000", "http.server");
    check(PYTHON, "python3 -Esm shop.worker", "shop.worker");
    check(PYTHON, "python -m shop.__main__", "shop");
    check(PYTHON, "python3 /srv/shop/__main__.py", "shop");
    check(PYTHON, "/opt/venv/bin/python /opt/venv/bin/pgcli-proxy", "pgcli-proxy");
}

#[test]
fn python_application_servers() {
    for (command, expected) in [
        ("/usr/bin/python3 /usr/bin/gunicorn wsgi:app", "wsgi"),
        ("/usr/bin/python3 /usr/bin/gunicorn -w 4 -b 0.0.0.0:8000 shop.wsgi:application", "shop"),
        ("/usr/bin/python3 /usr/bin/gunicorn --bind unix:/run/shop.sock -k gevent shop.app", "shop"),
        ("/usr/bin/python3 /usr/bin/gunicorn --bind localhost:http api:create_app()", "api"),
        ("/usr/bin/python3 /usr/bin/gunicorn -c conf.py", "gunicorn"),
        ("/usr/bin/python3 -m gunicorn orders.main:app --workers 2", "orders"),
        ("/usr/bin/python3 /usr/local/bin/uvicorn main:app --host 0.0.0.0", "main"),
        ("python3 -m uvicorn app.main:app", "app"),
        ("python3 /usr/bin/celery -A billing worker -l info", "billing"),
        ("python3 /usr/bin/celery --app=billing.app worker", "billing"),
        ("python3 -m flask --app hello run", "hello"),
        ("python3 -m flask run", "flask"),
    ] {
        check(PYTHON, command, expected);
    }
    check("/usr/bin/uwsgi", "uwsgi --http :80 --wsgi-file /srv/shop.py", "shop");
}

#[test]
fn node_java_and_others() {
    check("/usr/bin/node", "node server.js", "server");
    check("/usr/bin/node", "node -r dotenv/config --max-old-space-size=512 /app/cart.mjs", "cart");
    check("/usr/bin/node", "node /srv/cart/dist/index.js", "cart");
    check("/usr/bin/node", "node index.js", "index");
    check("/usr/lib/jvm/17/bin/java", "java -Xmx1g -jar x.jar --server.port=80", "x");
    check("/usr/lib/jvm/17/bin/java", "java -jar /app/cart-1.4.2-SNAPSHOT.jar", "cart");
    check("/usr/lib/jvm/17/bin/java", "java -cp a.jar:b.jar org.example.Cart 1", "Cart");
    check("/usr/lib/jvm/17/bin/java", "java -p mods -m cart/org.example.Main", "Main");
    check("/usr/bin/ruby3.1", "ruby -I lib cart.rb", "cart");
    check("/usr/bin/dotnet", "dotnet Cart.Api.dll", "Cart.Api");
    check("/usr/bin/php8.2", "php -f /srv/cart.php", "cart");
    check("/usr/bin/bash", "/bin/bash /usr/local/bin/start.sh", "start");
    check("/usr/bin/deno", "deno run -A main.ts", "main");
    check("/usr/local/bin/checkout (deleted)", "./checkout --listen :80", "checkout");
    check("/opt/my shop/shop server", "/opt/my shop/shop server", "shop server");
}

#[test]
fn titles_name_the_program() {
    for (executable, title, expected) in [
        ("/usr/sbin/nginx", "nginx: worker process", "nginx"),
        ("/usr/sbin/nginx", "nginx: master process /usr/sbin/nginx -g daemon off;", "nginx"),
        (PYTHON, "gunicorn: worker [app]", "app"),
        (PYTHON, "gunicorn: master [shop.wsgi:app]", "shop"),
        (PYTHON, "celeryd: celery@host:MainProcess -active- (worker)", "celeryd"),
        ("/usr/bin/ruby3.1", "puma: cluster worker 0: 4711 [shop]", "shop"),
        ("/usr/bin/ruby3.1", "puma 6.4.0 (tcp://0.0.0.0:3000) [shop]", "shop"),
        ("/usr/lib/postgresql/15/bin/postgres", "postgres: checkpointer ", "postgres"),
        ("/usr/bin/node", "cart-server", "cart-server"),
        ("/usr/sbin/php-fpm8.2", "php-fpm: pool www", "php-fpm8.2"),
    ] {
        let expected = Name { text: expected.into(), source: Source::Title };
        let padded = format!("{title}\0\0\0\0\0\0\0");
        assert_eq!(name(executable, padded.as_bytes()), expected, "{title}");
    }
}

#[test]
fn program_text_has_no_name_of_its_own() {
    for (executable, arguments) in [
        (PYTHON, &["python3", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"][..]),
        (PYTHON, &["python3", "-uc", "pass"]),
        (PYTHON, &["python3", "-"]),
        (PYTHON, &["python3"]),
        (PYTHON, &[]),
        ("/usr/bin/node", &["node", "-e", "1"]),
        ("/usr/bin/dash", &["sh", "-c", "exec cart"]),
        ("/usr/bin/bash", &["-bash"]),
        ("/usr/bin/bash", &["bash", "/dev/fd/63"]),
        ("/usr/bin/bash", &["bash", "/proc/self/fd/3"]),
        ("/usr/lib/jvm/17/bin/java", &["java", "@options"]),
    ] {
        let name = named(executable, arguments);
        assert_eq!(name.source, Source::Interpreter, "{arguments:?}");
        assert_eq!(name.text, base_name(executable));
    }
}

#[test]
fn hostile_command_lines() {
    let hostile: [Vec<u8>; 6] = [
        b"\0\0\0\0".to_vec(),
        vec![0xff; 100_000],
        b"-\0".repeat(50_000),
        b"python3\0-m\0".to_vec(),
        b"python3\0-m\0\x1b[2Jevil\nname\0".to_vec(),
        [b"gunicorn: worker [".as_slice(), &[b'['; 70_000], b"]"].concat(),
    ];
    for cmdline in hostile {
        for executable in [PYTHON, "/usr/bin/java", "", "/", "/x/\u{1}\u{2}"] {
            let name = name(executable, &cmdline);
            assert!(!name.text.is_empty());
            assert!(name.text.chars().count() <= NAME_CHARS_MAX);
            assert!(!name.text.contains(char::is_control));
        }
    }
    assert_eq!(name("", b"").text, "unknown_service");
    assert_eq!(name("", b"/usr/bin/cart\0-x\0").text, "cart");
}
