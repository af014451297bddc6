// A client of an echo server: many connections at a time, each sends in pieces of odd sizes, ends its side, and wants back
// just what it sent, and then the end. usage: echo.js PORT
'use strict';
const crypto = require('crypto');
const net = require('net');

const port = Number(process.argv[2]);
const CLIENTS = 20;
const SIZES = [0, 1, 100, 65536, 65537, 1000000, 3000001];
let open = 0;
let bytes = 0;

function fail(text) {
    console.log('FAILED: ' + text);
    process.exit(1);
}

function talk(number, size) {
    const data = crypto.randomBytes(size);
    const got = [];
    const socket = net.connect({port, host: '127.0.0.1', allowHalfOpen: true});
    open++;
    socket.on('connect', () => {
        for (let at = 0, n = 1 + number; at < size; at += n, n = (n * 7) % 100003 + 1)
            socket.write(data.subarray(at, Math.min(at + n, size)));
        socket.end();
    });
    socket.on('data', (part) => got.push(part));
    socket.on('error', (error) => fail(`client ${number}: ${error.message}`));
    socket.on('end', () => {
        if (!Buffer.concat(got).equals(data))
            fail(`client ${number}: of ${size} bytes came back ${Buffer.concat(got).length}, or others`);
        bytes += size;
    });
    socket.on('close', () => {
        if (--open === 0)
            console.log(`all came back: ${bytes} bytes to ${CLIENTS} clients of ${process.platform}`);
    });
}

for (let number = 0; number < CLIENTS; number++)
    talk(number, SIZES[number % SIZES.length]);
