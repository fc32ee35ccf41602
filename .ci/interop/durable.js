// Events that can be trusted, with programs that their authors did not write: node's ws as a durable subscriber that dies again and
// again, node's http as the receiver of a webhook that is down, slow, refuses and comes back, and checks the signatures with node's crypto,
// and node's smpp as the SMSC. The gateway is killed -9 under load.
//
//   node durable.js BINARIES DATABASE [KILLS]
//
// BINARIES is the folder of sipsmppd and sipsmpp-cli. DATABASE is a db: value of the gateway whose tables may be used. It ends
// with 1 and says what differs if one thing is not as it should be, with what each program had seen around that, and leaves the
// gateway's log.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const smpp = require('smpp');
const WebSocket = require('ws');
const { wait, until, ended, folder, checks, run, caller, startGateway, isBound, behaves, receipt } = require('./rig');

const [binaries, database, kills = '5'] = process.argv.slice(2);
const work = folder('durable');
const secret = 'a secret of the receiver';
const node = `durable-${process.pid}`; // a port that was free may be another's gateway a moment later
const check = checks();
const freePort = () => new Promise(resolve => {
  const s = net.createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => resolve(port)); });
});

// --- the SMSC: takes everything, and sends a receipt where one is asked for ---

let submitted = 0;
const smsc = smpp.createServer({}, session => {
  behaves(session);
  session.on('bind_transceiver', pdu => session.send(pdu.response({ system_id: 'node' })));
  session.on('submit_sm', pdu => {
    const id = String(++submitted);
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery) session.deliver_sm({ ...receipt(pdu, id), receipted_message_id: id, message_state: 2 });
  });
});

// --- what a program makes of its events: each once, by seq ---

class Ledger {
  constructor(name) { Object.assign(this, { name, last: 0, seen: new Map(), of: new Map(), doubles: 0, faults: [], trail: [] }); }
  note(what) { this.trail.push(`${performance.now().toFixed().padStart(7)} ${what}`); }
  fault(what) {
    this.faults.push(what);
    this.note(`FAULT: ${what}`);
  }
  take({ method, params }) {
    const what = `${method} ${params.id}`;
    this.note(`${params.seq} ${what}`);
    if (method === 'E_EVENTS_LOST') this.fault(`lost ${JSON.stringify(params)}`);
    if (params.node !== node) this.fault(`${params.seq} is of node ${params.node}`);
    if (params.seq <= this.last) {
      this.doubles++;
      const was = this.seen.get(params.seq);
      if (!was) this.fault(`${params.seq} ${what} (${sent.has(params.id) ? 'answered' : 'not answered'}) comes for the first time after ${this.last}`);
      else if (was !== what) this.fault(`${params.seq} was ${was} and is ${what}`);
      return;
    }
    this.last = params.seq;
    this.seen.set(params.seq, what);
    if (!this.of.has(params.id)) this.of.set(params.id, new Set());
    this.of.get(params.id).add(method);
  }
  has(id, method) { return this.of.get(id)?.has(method); }
  // lacks gives the messages that were answered and of which an event is missing.
  lacks() {
    return [...sent.keys()].filter(id => !this.has(id, 'E_MESSAGE_RECEIVED') || !this.has(id, 'E_MESSAGE_SENT') && !this.has(id, 'E_MESSAGE_DEFERRED'));
  }
  // story is what it saw around its first fault, and around the messages of which it lacks something.
  story() {
    const at = new Set([this.trail.findIndex(line => line.includes('FAULT'))]);
    for (const id of this.lacks().slice(0, 3)) at.add(this.trail.findIndex(line => line.includes(id)));
    return [...at].filter(i => i >= 0).map(i => `${this.name}:\n${this.trail.slice(Math.max(0, i - 40), i + 20).join('\n')}`).join('\n');
  }
}

// --- the durable subscriber: it dies after some events, mostly before it has acknowledged them ---

const subscriber = new Ledger('the subscriber');
let lives = 0;
let following = true;
function follow(port) {
  if (!following) return;
  const ws = new WebSocket(`ws://127.0.0.1:${port}/events?durable=ledger&filter=E_MESSAGE_*`);
  let left = 1 + Math.floor(Math.random() * 200);
  let open = false;
  ws.on('open', () => { lives++; open = true; subscriber.note('open'); });
  ws.on('error', () => {});
  ws.on('close', code => {
    if (open) subscriber.note(`closed with ${code}${left < 0 ? ' by itself' : ''}`);
    setTimeout(() => follow(port), 10);
  });
  ws.on('message', data => {
    if (left-- <= 0) return ws.terminate();
    const event = JSON.parse(data);
    subscriber.take(event);
    if (Math.random() < 0.1) {
      subscriber.note(`acknowledges ${event.params.seq}`);
      ws.send(JSON.stringify({ jsonrpc: '2.0', method: 'ack', params: { seq: event.params.seq } }));
    }
  });
}

// --- the receiver of the webhook ---

const hook = new Ledger('the webhook');
let mood = () => 204;
let posts = 0;
const answered = new Map(); // how often each status was answered
function listen(port) {
  const server = http.createServer((request, response) => {
    const parts = [];
    request.on('data', part => parts.push(part));
    request.on('end', async () => {
      posts++;
      const body = Buffer.concat(parts);
      const { 'sipsmpp-timestamp': timestamp, 'sipsmpp-signature': signature, 'sipsmpp-seq': seq, 'sipsmpp-event': names } = request.headers;
      const expected = `sha256=${crypto.createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')}`;
      if (signature !== expected) hook.fault(`the signature is ${signature}, not ${expected}`);
      if (Math.abs(Date.now() / 1000 - timestamp) > 60) hook.fault(`the timestamp is ${timestamp}`);
      const events = JSON.parse(body);
      if (events.at(-1).params.seq !== Number(seq)) hook.fault(`Sipsmpp-Seq ${seq} of ${events.at(-1).params.seq}`);
      if (!events.every(e => names.split(',').includes(e.method))) hook.fault(`Sipsmpp-Event ${names}`);
      const status = mood();
      hook.note(`a post of ${events[0].params.seq} to ${seq} is answered ${status}`);
      answered.set(status, (answered.get(status) ?? 0) + 1);
      if (status === 0) { // it took them, and dies before it says so
        events.forEach(e => hook.take(e));
        return request.socket.destroy();
      }
      if (status < 300) events.forEach(e => hook.take(e));
      response.writeHead(status, status === 302 ? { location: 'http://127.0.0.1:1/' } : {}).end();
    });
  });
  return new Promise(resolve => server.listen(port, '127.0.0.1', () => resolve(server)));
}

// --- the gateway ---

let gateway, ports, mi;
const mark = what => [subscriber, hook].forEach(ledger => ledger.note(`-- ${what} --`));
async function start() {
  gateway = await startGateway(binaries, work, `
node: ${node}
db: "${database}"
sip: { listen: ["udp:127.0.0.1:0"] }
smpp: { listen: ["127.0.0.1:0"] }
mi: { listen: "127.0.0.1:${ports.mi}", webhooks: ["http://127.0.0.1:${ports.hook}/hooks"] }
log: { level: warn }
`, mi);
  mark('the gateway is ready');
}

const sent = new Map(); // id: it wants a report
let sending = true;
async function send() {
  for (let i = 0; sending; i++) {
    const receipt = i % 2 === 0;
    try {
      const to = `+49151${String(Math.floor(Math.random() * 1e8)).padStart(8, '0')}`;
      const { id } = await mi('message_send', { from: '100', to, text: 'hi', receipt: String(receipt) });
      sent.set(id, receipt);
    } catch { await wait(10); } // the gateway is away
  }
}

async function main() {
  ports = { smsc: await freePort(), mi: await freePort(), hook: await freePort() };
  await new Promise(resolve => smsc.listen(ports.smsc, '127.0.0.1', resolve));
  mi = caller(`http://127.0.0.1:${ports.mi}/mi`);
  await start();
  const { connections } = await mi('smpp_list');
  for (const { name } of connections) await mi('smpp_delete', { name });
  await mi('smpp_add', { name: 'smsc', ip: '127.0.0.1', port: ports.smsc, system_id: 'me', password: 'secret', window: 50 });
  await until('a bind', isBound(mi, 'smsc'));

  const refused = await mi('event_subscribe', { event: '*', socket: 'webhook:http://127.0.0.1:1/', secret }).catch(e => e.message);
  check('a URL that mi.webhooks does not name is refused', refused.includes('mi.webhooks'), refused);
  const subscribed = await mi('event_subscribe', { event: 'E_MESSAGE_*', socket: `webhook:http://127.0.0.1:${ports.hook}/hooks/sms`, durable: 'hook', secret });
  check('event_subscribe answers OK', subscribed === 'OK', subscribed);
  follow(ports.mi);
  await until('the subscriber', () => lives > 0);

  // Nobody listens yet: the receiver is down.
  const senders = Array.from({ length: 4 }, send);
  await until('lag of the webhook', async () => {
    const { Events } = await mi('subscribers_list');
    const one = Events.flatMap(e => e.Subscribers).find(s => s.durable === 'hook');
    return one?.lag > 50 && one.last_error?.includes('refused') && one.retry_at;
  });
  let server = await listen(ports.hook);
  await until('the webhook to catch up', () => hook.seen.size >= 50);
  check('a receiver that was down gets what waited', hook.seen.size >= 50, hook.seen.size);
  const [, first] = [...hook.seen.values()];
  check('from the first on', first !== undefined && hook.faults.length === 0, hook.faults[0]);

  for (let i = 0; i < Number(kills); i++) {
    await wait(300 + Math.random() * 300);
    mood = [() => 500, () => 0, () => 302, () => 204][i % 4];
    gateway.kill('SIGKILL');
    await ended(gateway);
    mark(`the gateway is killed, after ${sent.size} answers`);
    await start();
    if (i % 2) { // the receiver, too
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
      server = await listen(ports.hook);
    }
    await wait(200);
    mood = () => 204;
  }
  sending = false;
  await Promise.all(senders);
  console.log(`       ${sent.size} messages answered, ${kills} kills of the gateway, ${lives} lives of the subscriber, ${posts} posts (${[...answered].map(([s, n]) => `${n} with ${s || 'nothing'}`).join(', ')})`);
  for (const ledger of [subscriber, hook]) {
    const complete = await until(`every event of ${ledger.name}`, () => ledger.lacks().length === 0).catch(() => false);
    check(`${ledger.name} has every event of every message that was answered`, complete, `it lacks some of ${ledger.lacks()}`);
    const unreported = [];
    let reports = 0;
    for (const [id, wanted] of sent) {
      if (!wanted || (await mi('message_show', { id })).state !== 'reported') continue;
      reports++;
      await until(`the report of ${id}`, () => ledger.has(id, 'E_MESSAGE_REPORT'), 10).catch(() => unreported.push(id));
    }
    check(`and every report that is stored (${reports})`, reports > 0 && unreported.length === 0, `${unreported.length} of ${reports} are missing`);
    check(`and knows its doubles by seq (${ledger.doubles})`, ledger.faults.length === 0, ledger.faults[0]);
  }
  await until('nothing waits', async () => {
    const { Events } = await mi('subscribers_list');
    return Events.flatMap(e => e.Subscribers).every(s => s.durable !== 'hook' || !s.lag);
  });
  following = false;
  for (const name of ['hook', 'ledger']) check(`subscriber_delete ${name}`, (await mi('subscriber_delete', { name })) === 'OK');
  gateway.kill('SIGTERM');
  check('it ends as it should', (await ended(gateway)) === 0, 'exit code');
  server.closeAllConnections();
}

run(() => main().catch(e => check('to the end', false, e.stack)).finally(() => {
  gateway?.kill('SIGKILL');
  if (!check.failures) return;
  for (const ledger of [subscriber, hook]) console.log(ledger.story());
  console.log(fs.readFileSync(path.join(work, 'sipsmppd.log'), 'utf8').slice(-3000));
}), check, work);
