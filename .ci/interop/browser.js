// The management interface and a real browser: what a page of a stranger's site can do to it (nothing), and what one of mi.origins can
// (call it, and receive events). And wscat from npm, which receives events as a person would see them.
//
//	node browser.js BINARIES DATABASE
//
// BINARIES is the folder of sipsmppd. DATABASE is a db: value of the gateway whose tables may be used. Chromium is $CHROMIUM, or the
// one that is installed. It ends with 1 and says what differs if one thing is not as it should be.
'use strict';
const { spawn, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { chromium } = require('playwright-core');
const { until, folder, checks, run, post } = require('./rig');

const [binaries, database] = process.argv.slice(2);
const work = folder('browser');
const ports = { mi: 20888, secured: 20889, admin: 20890, stranger: 20891, sip: 20060 };
const admin = `http://127.0.0.1:${ports.admin}`, stranger = `http://127.0.0.1:${ports.stranger}`;
const token = 'a-token-of-the-browser-test-0123456789';
const hash = require('node:crypto').createHash('sha256').update(token).digest('hex');

const check = checks();

function gateway(name, mi) {
  const file = path.join(work, `${name}.yaml`);
  fs.writeFileSync(file, `node: ${name}\ndb: ${name === 'open' ? database : `sqlite:${work}/${name}.db`}\n` +
    `sip: {listen: ["udp:127.0.0.1:${ports.sip + (name === 'open' ? 0 : 1)}"]}\nsmpp: {listen: []}\nmi:\n${mi}`);
  const daemon = spawn(path.join(binaries, 'sipsmppd'), ['-c', file], { stdio: ['ignore', 'inherit', 'inherit'] });
  process.on('exit', () => daemon.kill());
}
const call = (port, method, params) => post(`http://127.0.0.1:${port}/mi`, method, params);
const raise = n => call(ports.mi, 'raise_event', { event: 'E_BROWSER', params: { n } });
const isServed = port => fetch(`http://127.0.0.1:${port}/healthz`).then(r => r.ok, () => false);

// What a page tries. It runs in the browser.
function attempt({ url, socket, body, type, headers, mode, protocols, tag }) {
  const deadline = new Promise(resolve => setTimeout(() => resolve('nothing'), 3000));
  if (socket) {
    return Promise.race([deadline, new Promise(resolve => {
      const ws = new WebSocket(socket, protocols || []);
      window.sockets = [...(window.sockets || []), ws];
      ws.onopen = () => { if (body) ws.send(body); else resolve('open'); };
      ws.onmessage = e => resolve(e.data);
      ws.onerror = () => resolve('refused');
    })]);
  }
  if (tag) {
    return Promise.race([deadline, new Promise(resolve => {
      const element = document.createElement(tag);
      element.onload = () => resolve('loaded');
      element.onerror = () => resolve('refused');
      element.src = url;
      document.body.append(element);
    })]);
  }
  const request = body ? { method: 'POST', body, mode, headers: { 'Content-Type': type, ...headers } } : { mode, headers };
  return Promise.race([deadline, fetch(url, request).then(
    async r => (r.type === 'opaque' ? 'opaque' : `${r.status} ${await r.text()}`), e => `refused ${e.name}`)]);
}

async function main() {
  const page = (request, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>a page</title><body>');
  for (const port of [ports.admin, ports.stranger]) http.createServer(page).listen(port, '127.0.0.1');
  gateway('open', `  listen: 127.0.0.1:${ports.mi}\n  origins: ["${admin}"]\n`);
  gateway('secured', `  listen: 127.0.0.1:${ports.secured}\n  origins: ["${admin}"]\n  tokens: [{name: page, role: operator, hash: ${hash}}]\n`);
  await until('the gateways', async () => await isServed(ports.mi) && await isServed(ports.secured));

  const executablePath = process.env.CHROMIUM || execFileSync('sh', ['-c', 'command -v chromium || command -v chromium-browser || command -v google-chrome']).toString().trim();
  const browser = await chromium.launch({ executablePath, args: [
    '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', `--host-resolver-rules=MAP rebound.example 127.0.0.1`] });
  const open = async url => { const p = await browser.newPage(); await p.goto(url); return p; };
  const mi = `http://127.0.0.1:${ports.mi}/mi`, events = `ws://127.0.0.1:${ports.mi}/events?filter=E_BROWSER`;
  const disable = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'log_level', params: { level: 'debug' } });
  const version = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'version' });
  const level = async () => (await call(ports.mi, 'log_level', {})).result.Processes[0]['Log level'];

  // A stranger's page: it can neither call nor listen, and what it sent changed nothing.
  const foreign = await open(stranger);
  const tries = {
    'calls with JSON': { url: mi, body: disable, type: 'application/json' },
    'calls as a form does, unasked': { url: mi, body: disable, type: 'text/plain', mode: 'no-cors' },
    'calls as a form with JSON, unasked': { url: mi, body: disable, type: 'application/json', mode: 'no-cors' },
    'opens the MI by WebSocket': { socket: mi.replace('http', 'ws'), body: disable },
    'opens /events': { socket: events },
    'reads /metrics': { url: mi.replace('/mi', '/metrics') },
    'shows /metrics as an image': { url: mi.replace('/mi', '/metrics'), tag: 'img' },
    'runs /debug/pprof as a script': { url: mi.replace('/mi', '/debug/pprof/cmdline'), tag: 'script' },
  };
  for (const [what, how] of Object.entries(tries)) {
    const got = await foreign.evaluate(attempt, how);
    check(`a stranger's page ${what}: refused`, got.startsWith('refused') || got === 'opaque', got);
  }
  check('and the log level is what it was', await level() === 3, await level());

  // A page of a name that was pointed at us (DNS rebinding): its origin is the gateway's own address.
  const rebound = await open(`http://rebound.example:${ports.mi}/healthz`);
  const got = await rebound.evaluate(attempt, { url: '/mi', body: disable, type: 'application/json' });
  check('a name that was pointed at the gateway: 403', got.startsWith('403 '), got);
  const reboundSocket = await rebound.evaluate(attempt, { socket: events.replace('127.0.0.1', 'rebound.example') });
  check('and no events', reboundSocket === 'refused', reboundSocket);

  // A page of mi.origins.
  const friend = await open(admin);
  const answer = await friend.evaluate(attempt, { url: mi, body: version, type: 'application/json' });
  check('a page of mi.origins calls, and reads the answer', answer.startsWith('200 ') && answer.includes('"Server":"sipsmpp'), answer);
  const answered = await friend.evaluate(attempt, { socket: mi.replace('http', 'ws'), body: version });
  check('it calls by WebSocket', answered.includes('"Server":"sipsmpp'), answered);
  await friend.evaluate(url => {
    window.got = [];
    const ws = new WebSocket(url);
    ws.onmessage = e => window.got.push(JSON.parse(e.data));
    return new Promise((resolve, reject) => { ws.onopen = resolve; ws.onerror = reject; });
  }, events);
  for (const n of [1, 2, 3]) await raise(n);
  const received = await until('the events', () => friend.evaluate(() => window.got.length >= 3 && window.got)).catch(e => [e.message]);
  check('it receives events', JSON.stringify(received.map(e => e.params && e.params.n)) === '[1,2,3]', received);

  // With tokens: the browser asks without one, and the page's call carries it.
  const secured = `http://127.0.0.1:${ports.secured}/mi`;
  const without = await friend.evaluate(attempt, { url: secured, body: version, type: 'application/json' });
  check('without a token it reads why it was refused', without.startsWith('401 ') && without.includes('mi.tokens'), without);
  const withToken = await friend.evaluate(attempt, { url: secured, body: version, type: 'application/json', headers: { Authorization: `Bearer ${token}` } });
  check('with its token it calls', withToken.startsWith('200 '), withToken);
  const offered = { socket: secured.replace('http', 'ws').replace('/mi', '/events'), protocols: ['sipsmpp', `bearer.${token}`] };
  check('a token as a protocol opens /events', await friend.evaluate(attempt, offered) === 'open', 'refused');
  const stolen = await foreign.evaluate(attempt, offered);
  check('but not for a stranger\'s page', stolen === 'refused', stolen);
  await browser.close();

  // wscat, as somebody who looks types it.
  const wscat = spawn('npx', ['--no-install', 'wscat', '--no-color', '-c', `${events}&after=0`], { cwd: __dirname, stdio: ['pipe', 'pipe', 'inherit'] });
  let shown = '';
  wscat.stdout.on('data', data => { shown += data; });
  await raise(4);
  await until('what wscat shows', () => [1, 2, 3, 4].every(n => shown.includes(`"n":${n}`))).then(
    () => check('wscat receives events', true), e => check('wscat receives events', false, `${e.message}: ${shown}`));
  wscat.kill();
}

run(main, check, work);
