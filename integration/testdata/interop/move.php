<?php
// Moves a folder with PHP's ftp extension: move.php put|get LOCAL REMOTE
set_error_handler(function ($severity, $message) { throw new ErrorException($message); });

[, $direction, $local, $remote] = $argv;
$ftp = ftp_ssl_connect('127.0.0.1', (int) getenv('PEER_PORT'), 60);
ftp_login($ftp, getenv('PEER_USER'), getenv('PEER_PASSWORD'));
ftp_pasv($ftp, true);

function put($ftp, $local, $remote) {
    ftp_mkdir($ftp, $remote);
    foreach (array_diff(scandir($local), ['.', '..']) as $name) {
        if (is_dir("$local/$name")) {
            put($ftp, "$local/$name", "$remote/$name");
        } elseif (!ftp_put($ftp, "$remote/$name", "$local/$name", FTP_BINARY)) {
            throw new Exception("not stored: $name");
        }
    }
}

function get($ftp, $remote, $local) {
    mkdir($local);
    foreach (ftp_mlsd($ftp, $remote) as $entry) {
        $name = $entry['name'];
        if ($entry['type'] === 'dir') {
            get($ftp, "$remote/$name", "$local/$name");
        } elseif ($entry['type'] === 'file' && !ftp_get($ftp, "$local/$name", "$remote/$name", FTP_BINARY)) {
            throw new Exception("not read: $name");
        }
    }
}

$direction === 'put' ? put($ftp, $local, $remote) : get($ftp, $remote, $local);
ftp_close($ftp);
