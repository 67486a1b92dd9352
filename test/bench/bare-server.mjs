// What an answer costs a server of bare node:http that knows it by heart: reads the body, parses it, sends the file it was given.
import fs from 'node:fs';
import http from 'node:http';

const answer = fs.readFileSync(process.argv[3], 'latin1');

http
  .createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.once('end', () => {
      JSON.parse(String(Buffer.concat(chunks)));
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
      response.end(answer, 'latin1');
    });
  })
  .listen(Number(process.argv[2]), '127.0.0.1');
