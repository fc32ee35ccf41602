// ESMEs that the gateway's authors did not write, bound to its listener: Kannel's bearerbox sends messages by its HTTP interface and
// must get every receipt; node's smpp binds as receiver and transmitter. The SMSC behind the gateway is node's smpp, too. tshark reads
// what crossed the wire.
//
//   node accounts.js BINARIES DATABASE [MESSAGES]
//
// BINARIES is the folder of sipsmppd and sipsmpp-cli. DATABASE is a db: value of the gateway whose tables may be used. MESSAGES is how
// many Kannel sends: 1000. It ends with 1 and says what is wrong if one message or one receipt is missing, doubled or altered.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const smpp = require('smpp');
const { wait, until, ended, folder, checks, run, caller, startGateway, isBound, sql, behaves, receipt, capture } = require('./rig');

const [binaries, database, count = '1000'] = process.argv.slice(2);
const messages = Number(count);
const work = folder('accounts');
const ports = { smsc: 24775, listen: 24776, sip: 25062, mi: 28892, admin: 23000, box: 23001, sendsms: 23013, dlr: 23080 };
const check = checks({ quiet: true });
const call = caller(`http://127.0.0.1:${ports.mi}/mi`);

// --- the SMSC: node's smpp, with ids that are hexadecimal in the response and decimal in the receipt ---

const arrived = new Map(); // text -> how often
let ids = 0x0fffff00;
let bound; // the gateway's session
const server = smpp.createServer({}, session => {
  behaves(session);
  session.on('bind_transceiver', pdu => {
    bound = session;
    session.send(pdu.response({ system_id: 'node' }));
  });
  session.on('submit_sm', pdu => {
    const id = ++ids;
    const text = pdu.short_message.message;
    arrived.set(text, (arrived.get(text) || 0) + 1);
    const report = () => pdu.registered_delivery && session.deliver_sm(receipt(pdu, id));
    const early = id % 10 === 0; // one receipt in ten overtakes the response
    if (early) report();
    session.send(pdu.response({ message_id: id.toString(16) }));
    if (!early) setTimeout(report, id % 100);
  });
});

// --- Kannel ---

const dlrs = new Map(); // type of the report -> message -> how often
const dlrServer = http.createServer((request, response) => {
  const q = new URL(request.url, 'http://localhost').searchParams;
  const of = dlrs.get(q.get('type')) || new Map();
  of.set(q.get('n'), (of.get(q.get('n')) || 0) + 1);
  dlrs.set(q.get('type'), of);
  response.end('OK');
});

function kannel() {
  const file = path.join(work, 'kannel.conf');
  fs.writeFileSync(file, `
group = core
admin-port = ${ports.admin}
admin-password = secret
smsbox-port = ${ports.box}
log-file = "${work}/bearerbox.log"
log-level = 0
box-allow-ip = 127.0.0.1

group = smsc
smsc = smpp
smsc-id = gateway
host = 127.0.0.1
port = ${ports.listen}
transceiver-mode = true
smsc-username = kannel
smsc-password = secret
system-type = ""
max-pending-submits = 50
enquire-link-interval = 5

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = ${ports.sendsms}
global-sender = 100
log-file = "${work}/smsbox.log"
log-level = 0

group = sendsms-user
username = tester
password = secret
max-messages = 10
concatenation = true
`);
  const start = name => spawn(`/usr/sbin/${name}`, [file], { cwd: work, stdio: 'ignore' });
  return { start };
}

const text = n => n % 10 ? `message ${n} @ {é} Ü€` : `Сообщение ${n} 汉字 👋`;

async function sendsms(n) {
  const q = new URLSearchParams({
    username: 'tester', password: 'secret', from: '100', to: '+4915112345678', text: text(n), 'dlr-mask': '31', charset: 'UTF-8', coding: n % 10 ? '0' : '2',
    'dlr-url': `http://127.0.0.1:${ports.dlr}/dlr?type=%d&n=${n}`,
  });
  const answer = await fetch(`http://127.0.0.1:${ports.sendsms}/cgi-bin/sendsms?${q}`);
  return answer.status;
}

// --- the gateway ---

let gateway;
async function start() {
  gateway = await startGateway(binaries, work, `
node: interop
db: "${database}"
sip:
  listen: ["udp:127.0.0.1:${ports.sip}"]
smpp:
  listen: ["127.0.0.1:${ports.listen}"]
  default_connection: node
mi:
  listen: 127.0.0.1:${ports.mi}
`, call);
}

// --- node's smpp as ESME ---

function esme(mode, password = 'secret') {
  return new Promise((resolve, reject) => {
    const session = smpp.connect({ host: '127.0.0.1', port: ports.listen });
    session.received = [];
    behaves(session);
    session.on('error', err => session.bound || reject(err));
    session.on('deliver_sm', pdu => {
      session.received.push(pdu);
      session.send(pdu.response());
    });
    session.on('connect', () => session[mode]({ system_id: 'node', password }, pdu => {
      session.bound = true;
      resolve({ session, pdu });
    }));
  });
}

const request = (session, command, pdu) => new Promise(resolve => session[command](pdu, resolve));

async function nodeAsESME() {
  await call('account_add', { system_id: 'node', password: 'secret', max_binds: 2, bind_modes: 'transmitter,receiver' });
  const wrong = await esme('bind_transmitter', 'wrong');
  check('a wrong password', wrong.pdu.command_status === 0x0e, wrong.pdu.command_status);
  const mode = await esme('bind_transceiver');
  check('a mode that is not allowed', mode.pdu.command_status === 0x0d, mode.pdu.command_status);
  const tx = (await esme('bind_transmitter')).session;
  const id = {};
  for (const [what, command, pdu] of [
    ['submit_sm', 'submit_sm', { short_message: 'by submit_sm' }],
    ['data_sm', 'data_sm', { message_payload: 'by data_sm' }],
  ]) {
    const resp = await request(tx, command, { source_addr: '100', destination_addr: '4915112345678', dest_addr_ton: 1, dest_addr_npi: 1, registered_delivery: 1, ...pdu });
    check(what, resp.command_status === 0 && /^[0-9a-z]{26}$/.test(resp.message_id), JSON.stringify(resp));
    id[what] = resp.message_id;
  }
  const long = 'The quick brown fox. '.repeat(20);
  const resp = await request(tx, 'submit_sm', { source_addr: '100', destination_addr: '4915112345678', registered_delivery: 1, message_payload: long });
  check('message_payload', resp.command_status === 0, JSON.stringify(resp));
  const late = await request(tx, 'submit_sm', { source_addr: '100', destination_addr: '4915112345678', short_message: 'x', schedule_delivery_time: '300101000000000+' });
  check('schedule_delivery_time', late.command_status === 0x61, late.command_status);
  const unknown = await request(tx, 'query_sm', { message_id: '00000000000000000000000000', source_addr: '100' });
  check('query_sm of an unknown message', unknown.command_status === 0x67, unknown.command_status);
  await until('the reports', async () => (await call('message_show', { id: resp.message_id })).state === 'reported');
  const state = await request(tx, 'query_sm', { message_id: id.submit_sm, source_addr: '100' });
  check('query_sm', state.command_status === 0 && state.message_state === 2, JSON.stringify(state));
  const cancel = await request(tx, 'cancel_sm', { message_id: id.submit_sm, source_addr: '100', destination_addr: '4915112345678' });
  check('cancel_sm', cancel.command_status === 0x11, cancel.command_status);

  // Only now somebody can receive, and the gateway dies in between.
  for (const i of [id.submit_sm, id.data_sm]) {
    await until('the reports', async () => (await call('message_show', { id: i })).state === 'reported');
  }
  gateway.kill('SIGKILL');
  await ended(gateway);
  await start();
  const rx = (await esme('bind_receiver')).session;
  await until('the receipts that waited', () => rx.received.length === 3);
  const told = rx.received.map(p => String(p.receipted_message_id).replace(/\0/g, '')).sort();
  check('the receipts', JSON.stringify(told) === JSON.stringify([id.submit_sm, id.data_sm, resp.message_id].sort()), JSON.stringify(told));
  for (const p of rx.received) {
    check('a receipt', p.esm_class === 4 && p.message_state === 2 && p.source_addr === '4915112345678' && p.destination_addr === '100' &&
      /^id:[0-9a-z]{26} sub:001 dlvrd:001 submit date:\d{10} done date:\d{10} stat:DELIVRD err:000 Text:$/.test(p.short_message.message), JSON.stringify(p));
  }
  const denied = await request(rx, 'submit_sm', { source_addr: '100', destination_addr: '4915112345678', short_message: 'x' });
  check('submit_sm on a receiver', denied.command_status === 0x04, denied.command_status);
  const again = await request(rx, 'bind_receiver', { system_id: 'node', password: 'secret' });
  check('a second bind', again.command_status === 0x05, again.command_status);
  await request(rx, 'unbind', {});
}

async function main() {
  const children = [];
  const started = child => (children.push(child), child);
  server.listen(ports.smsc, '127.0.0.1');
  dlrServer.listen(ports.dlr, '127.0.0.1');
  const cap = await capture(work, { [ports.smsc]: 'smpp', [ports.listen]: 'smpp' });
  await start();
  try {
    sql(database, `INSERT INTO smpp (name, ip, port, system_id, password, system_type, src_ton, src_npi, dst_ton, dst_npi, session_type)
         VALUES ('node', '127.0.0.1', ${ports.smsc}, 'gateway', 'secret', '', 0, 0, 0, 0, 1)`);
    await call('smpp_reload');
    await until('the bind', isBound(call, 'node'));

    await nodeAsESME();

    await call('account_add', { system_id: 'kannel', password: 'secret' });
    const { start } = kannel();
    const bearerbox = started(start('bearerbox'));
    await wait(500);
    started(start('smsbox'));
    await until('the bind of Kannel', async () => (await call('smpp_list', ['kannel'])).accounts[0].binds.length === 1);
    await until('smsbox', () => sendsms(messages).catch(() => false));
    await until('the first receipt', () => dlrs.has('1'));
    const begin = Date.now();
    let next = 0;
    await Promise.all(Array.from({ length: 20 }, async () => {
      while (next < messages) {
        const n = next++;
        const status = await sendsms(n);
        check('sendsms', status === 202, status);
      }
    }));
    const of = type => dlrs.get(type) || new Map();
    await until('the last receipt in Kannel', () => of('1').size >= messages + 1, 60).catch(err => check('receipts', false, err.message));
    const seconds = (Date.now() - begin) / 1000;
    for (let n = 0; n < messages; n++) {
      check(`message ${n}`, arrived.get(text(n)) === 1, `the SMSC has it ${arrived.get(text(n)) || 0} times`);
      check(`receipt of message ${n}`, of('1').get(String(n)) === 1, `Kannel has it ${of('1').get(String(n)) || 0} times`);
      check(`acceptance of message ${n}`, of('8').get(String(n)) === 1, `Kannel has it ${of('8').get(String(n)) || 0} times`);
    }
    if (check.failures) console.log('some that arrived:', [...arrived.keys()].slice(-3));
    check('failures in Kannel', !dlrs.has('2') && !dlrs.has('16'), JSON.stringify([...dlrs].map(([t, m]) => [t, m.size])));
    console.log(`Kannel: ${messages} messages, ${of('1').size - 1} receipts, in ${seconds.toFixed(1)} s`);

    bearerbox.kill('SIGTERM');
    await ended(bearerbox);
    await until('the end of its bind', async () => (await call('smpp_list', ['kannel'])).accounts[0].binds.length === 0);
    await cap.end();
    const malformed = cap.read('_ws.malformed');
    check('tshark', malformed === '', malformed);
  } finally {
    for (const c of [...children, gateway, cap]) c.kill();
    if (bound) bound.close();
    server.close();
    dlrServer.close();
  }
}

run(main, check, work);
