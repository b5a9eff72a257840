<?php
// Takes a service time of up to $SERVICE_MS milliseconds and calls $BACKEND.
usleep(random_int(0, 1000 * (int) getenv("SERVICE_MS")));
$fields = "x-truth: {$_SERVER['HTTP_X_TRUTH']}.1\r\nconnection: close\r\n";
$context = stream_context_create(["http" => ["header" => $fields, "protocol_version" => 1.1]]);
file_get_contents("http://" . getenv("BACKEND") . "/work", false, $context);
header("content-length: 3");
echo "ok\n";
