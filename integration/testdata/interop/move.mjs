// Moves a folder with Node's basic-ftp: move.mjs put|get LOCAL REMOTE MODULE
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [direction, local, remote, module] = process.argv.slice(2);
const { Client } = createRequire(import.meta.url)(module);
const client = new Client(60_000);
await client.access({
    host: "127.0.0.1",
    port: Number(process.env.PEER_PORT),
    user: process.env.PEER_USER,
    password: process.env.PEER_PASSWORD,
    secure: true,
    secureOptions: { ca: readFileSync(process.env.PEER_CERT) },
});
if (direction === "put") await client.uploadFromDir(local, remote);
else await client.downloadToDir(local, remote);
client.close();
