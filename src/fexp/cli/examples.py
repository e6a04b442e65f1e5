"""Examples for the end of each command's help. Each works as it is pasted, on any Linux."""

EXAMPLES = {
    "fexp": (
        ("See what waits in this folder:", "fexp scan ."),
        ("Follow it; a browser shows it at http://127.0.0.1:9877:", "fexp watch ."),
    ),
    "watch": (
        ("Serve the numbers at http://127.0.0.1:9877/metrics:", "fexp watch /var/log --ext log"),
        ("Keep a file for node_exporter:", "fexp watch /var/log --ext log --textfile fexp.prom"),
        (
            "Look into subfolders too, push to a Pushgateway, and serve on all addresses:",
            "fexp watch /var/log -r --gateway http://127.0.0.1:9091 --listen :9877",
        ),
    ),
    "push": (
        ("Push to the Pushgateway of this host:", "fexp push /var/log --ext log"),
        (
            "Push a group of its own, to the Pushgateway of that URL:",
            "fexp push /var/log --gateway http://127.0.0.1:9091 --job logs --grouping site=a",
        ),
        ("Delete that group:", "fexp push --delete --gateway http://127.0.0.1:9091 --job logs --grouping site=a"),
    ),
    "write": (
        ("Write a file for node_exporter:", "fexp write /var/log --ext log --textfile fexp.prom"),
        (
            "Leave out what was rotated away, and add a label:",
            "fexp write /var/log --exclude '*.gz' --label team=web --textfile fexp.prom",
        ),
    ),
    "scan": (
        ("See which subfolder holds the most:", "fexp scan /usr/share --per-subfolder -r --sort size"),
        ("Count logs and archives, each by itself, in subfolders too:", "fexp scan /var/log -r --ext log --ext gz"),
        ("Print JSON for a script:", "fexp scan /var/log --format json"),
    ),
    "check": (
        ("See whether a watch of this folder would go well:", "fexp check /var/log --textfile fexp.prom"),
        ("Ask the Pushgateway too, and print JSON:", "fexp check . --gateway http://127.0.0.1:9091 --format json"),
    ),
    "show": (
        ("Begin with a config file that shows every option:", "fexp show config > fexp.yml"),
        ("Have an editor check and complete it:", "fexp show schema > fexp.schema.json"),
    ),
    "run": (
        (
            "Run a backup and keep a file for node_exporter:",
            "fexp run --job hosts --textfile hosts.prom -- cp /etc/hosts hosts.bak",
        ),
        (
            "Try twice more, an hour each at most, and push how it went:",
            "fexp run --job hosts --timeout 1h --retries 2 --gateway http://127.0.0.1:9091 -- cp /etc/hosts hosts.bak",
        ),
    ),
}
"""By command: what is wanted, and the command line. ``fexp`` stands for the list of commands."""
