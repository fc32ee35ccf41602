// The gateway between programs that its authors did not write: node's smpp is the SMSC, sipp the SIP endpoint on both sides, tshark
// reads what crossed the wire.
//
//   node interop.js BINARIES DATABASE
//
// BINARIES is the folder of sipsmppd and sipsmpp-cli. DATABASE is a db: value of the gateway whose tables may be used. It ends
// with 1 and says what differs if one text does not arrive as it was sent, in either direction.
'use strict';
const { spawn, execFileSync } = require('node:child_process');
const dgram = require('node:dgram');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const smpp = require('smpp');

const [binaries, database] = process.argv.slice(2);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'sipsmpp-interop-'));
const ports = { smsc: 21775, sip: 21060, sink: 21062, mi: 21888 };
const mi = `http://127.0.0.1:${ports.mi}/mi`;

const texts = {
  'ASCII': 'Hello, world',
  'e acute': 'é',
  'euro': '€',
  'at sign': '@ at both ends @',
  'GSM extension': '^{}\\[~]|€',
  'Cyrillic': 'Привет',
  'Chinese': '汉字',
  'emoji': '👋🏽',
  '160 GSM': 'a'.repeat(158) + '€',
  '161 GSM': 'a'.repeat(159) + '€',
  'euro at the boundary of segments': 'a'.repeat(151) + '€' + 'b'.repeat(100),
  '70 UCS-2': 'я'.repeat(68) + '👋',
  '71 UCS-2': 'я'.repeat(69) + '👋',
  'emoji at the boundary of segments': 'я'.repeat(65) + '👋' + 'ю'.repeat(60),
  '1,000 GSM': 'The quick brown fox. '.repeat(48).slice(0, 999) + '.',
  '1,000 UCS-2': 'Съешь ещё этих мягких французских булок, да выпей чаю. '.repeat(20).slice(0, 999) + '.',
};

let failures = 0;
function check(what, ok, detail) {
  if (!ok) {
    failures++;
    console.log(`FAILED ${what}: ${detail}`);
  }
}

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));
async function until(what, condition, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await wait(20)) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`${what} did not come within ${seconds} s`);
}

// --- the SMSC: node's smpp ---

const segments = []; // of the submit_sm that came
let esme;            // the gateway's session
let ids = 0;
const server = smpp.createServer({}, session => {
  session.on('error', () => {});
  session.on('bind_transceiver', pdu => {
    esme = session;
    session.send(pdu.response({ system_id: 'node' }));
  });
  session.on('enquire_link', pdu => session.send(pdu.response()));
  session.on('unbind', pdu => session.send(pdu.response()));
  session.on('submit_sm', pdu => {
    const id = String(++ids);
    segments.push(pdu);
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery) receipt(session, pdu, id);
  });
});

function receipt(session, submit, id) {
  session.deliver_sm({
    source_addr: submit.destination_addr, destination_addr: submit.source_addr, esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:`,
  });
}

// userData makes deliver_sm segments of a text, with node's own encoder.
function userData(text) {
  const coding = smpp.encodings.detect(text) === 'UCS2' ? 'UCS2' : 'ASCII';
  const data_coding = coding === 'UCS2' ? 8 : 0;
  const alone = coding === 'UCS2' ? 140 : 160, each = coding === 'UCS2' ? 134 : 153;
  const encode = s => smpp.encodings[coding].encode(s);
  if (encode(text).length <= alone) return [{ data_coding, short_message: { message: encode(text) } }];
  const parts = [];
  let part = '';
  for (const c of text) {
    if (encode(part + c).length > each) {
      parts.push(part);
      part = '';
    }
    part += c;
  }
  parts.push(part);
  const reference = ++userData.reference & 0xff;
  return parts.map((p, i) => ({
    data_coding, esm_class: 0x40,
    short_message: { udh: Buffer.from([5, 0, 3, reference, parts.length, i + 1]), message: encode(p) },
  }));
}
userData.reference = 0;

function deliver(pdu) {
  return new Promise(resolve => esme.deliver_sm(pdu, response => resolve(response.command_status)));
}

// --- sipp ---

function scenario(name, body) {
  const file = path.join(work, name);
  fs.writeFileSync(file, `<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="${name}">\n${body}\n</scenario>\n`);
  return file;
}

const uas = () => scenario('uas.xml', `
  <recv request="MESSAGE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[call_number]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>`);

const body = path.join(work, 'body');
const uac = code => scenario('uac.xml', `
  <send><![CDATA[
MESSAGE sip:+4915112345678@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:100@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:+4915112345678@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 MESSAGE
Max-Forwards: 70
Content-Type: text/plain;charset=UTF-8
Content-Length: [len]

[file name=${body}]]]></send>
  <recv response="${code}"/>`);

async function sippSend(text, code = 202) {
  fs.writeFileSync(body, text);
  const file = uac(code);
  const child = spawn('sipp', ['-sf', file, '-m', '1', '-i', '127.0.0.1', '-timeout', '10', '-timeout_error', '-nostdin',
    `127.0.0.1:${ports.sip}`], { cwd: work, stdio: 'ignore' });
  return new Promise(resolve => child.on('exit', resolve));
}

// bodies reads the bodies of the MESSAGEs in sipp's own message log.
function bodies(log) {
  const octets = fs.existsSync(log) ? fs.readFileSync(log) : Buffer.alloc(0);
  const found = [];
  for (let at = 0; (at = octets.indexOf('\nMESSAGE ', at)) >= 0;) {
    const head = octets.indexOf('\r\n\r\n', at);
    if (head < 0) break;
    const length = /\r\nContent-Length: *(\d+)/i.exec(octets.toString('latin1', at, head));
    const body = octets.subarray(head + 4, head + 4 + Number(length[1]));
    if (body.length < Number(length[1])) break;
    found.push(body.toString('utf8'));
    at = head + 4 + body.length;
  }
  return found;
}

// --- the gateway ---

async function call(method, params) {
  const answer = await fetch(mi, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const reply = await answer.json();
  if (reply.error) throw new Error(`${method}: ${JSON.stringify(reply.error)}`);
  return reply.result;
}

// sql runs a statement by the database's own client.
function sql(statement) {
  const url = database.startsWith('sqlite:') ? null : new URL(database);
  if (!url) return execFileSync('sqlite3', [database.slice('sqlite:'.length), statement]);
  if (url.protocol === 'postgres:') return execFileSync('psql', ['-q', database, '-c', statement]);
  return execFileSync('mariadb', ['-h', url.hostname, '-P', url.port || '3306', '-u', url.username, url.pathname.slice(1), '-e', statement]);
}

function startGateway() {
  fs.writeFileSync(path.join(work, 'sipsmpp.yaml'), `
node: interop
db: "${database}"
sip:
  listen: ["udp:127.0.0.1:${ports.sip}", "tcp:127.0.0.1:${ports.sip}"]
  outbound_uri: sip:127.0.0.1:${ports.sink}
  probe_interval: -1s # sipp would count an OPTIONS as a call
mi:
  listen: 127.0.0.1:${ports.mi}
`);
  const log = fs.openSync(path.join(work, 'sipsmppd.log'), 'w');
  return spawn(path.join(binaries, 'sipsmppd'), ['-c', path.join(work, 'sipsmpp.yaml')], { stdio: ['ignore', log, log] });
}

// --- tshark ---

function capture() {
  const file = path.join(work, 'capture.pcap');
  const child = spawn('tshark', ['-q', '-i', 'lo', '-w', file, '-f', `port ${ports.smsc} or port ${ports.sip} or port ${ports.sink}`],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  return { file, child, started: new Promise(resolve => child.stderr.on('data', d => /Capturing/.test(d) && resolve())) };
}

const decodeAs = ['-d', `tcp.port==${ports.smsc},smpp`, '-d', `udp.port==${ports.sip},sip`, '-d', `udp.port==${ports.sink},sip`,
  '-d', `tcp.port==${ports.sink},sip`, '-o', 'smpp.decode_sms_over_smpp:GSM 7-bit'];

function tshark(file, ...args) {
  return execFileSync('tshark', ['-r', file, ...decodeAs, ...args], { stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 }).toString();
}

async function main() {
  const children = [];
  server.listen(ports.smsc, '127.0.0.1');
  const cap = capture();
  children.push(cap.child);
  await cap.started;
  const gateway = startGateway();
  children.push(gateway);
  const log = path.join(work, 'messages.log');
  const sink = spawn('sipp', ['-sf', uas(), '-i', '127.0.0.1', '-p', String(ports.sink), '-nostdin', '-trace_msg', '-message_file', log,
    '-m', String(Object.keys(texts).length), '-trace_err'],
  { cwd: work, stdio: ['ignore', 'ignore', fs.openSync(path.join(work, 'sink.err'), 'w')] });
  children.push(sink);
  try {
    await until('the MI', () => call('version').catch(() => false));
    sql(`INSERT INTO smpp (name, ip, port, system_id, password, system_type, src_ton, src_npi, dst_ton, dst_npi, session_type)
         VALUES ('node', '127.0.0.1', ${ports.smsc}, 'gateway', 'secret', '', 0, 0, 0, 0, 1)`);
    const reloaded = await call('smpp_reload');
    check('smpp_reload', JSON.stringify(reloaded.added) === '["node"]', JSON.stringify(reloaded));
    await until('the bind', async () => (await call('smpp_list')).connections[0].state === 'bound');

    let sent = 0;
    for (const [name, text] of Object.entries(texts)) {
      segments.length = 0;
      const code = await sippSend(text);
      check(`SIP to SMPP, ${name}`, code === 0, `sipp ended with ${code}`);
      const got = segments.map(s => s.short_message.message).join('');
      check(`SIP to SMPP, ${name}`, got === text, `${JSON.stringify(got)} in ${segments.length} segments`);
      sent += segments.length;
    }
    for (const [name, text] of Object.entries(texts)) {
      for (const pdu of userData(text)) {
        const status = await deliver({ source_addr: '4915112345678', source_addr_ton: 1, source_addr_npi: 1, destination_addr: '100', ...pdu });
        check(`SMPP to SIP, ${name}`, status === 0, `deliver_sm_resp has status ${status}`);
      }
    }
    await until('the last MESSAGE', () => sink.exitCode !== null); // sipp writes its log only then
    check('sipp as user agent server', sink.exitCode === 0, `it ended with ${sink.exitCode}: see sink.err`);
    const arrived = bodies(log);
    check('SMPP to SIP', arrived.length === Object.keys(texts).length, `${arrived.length} messages arrived`);
    Object.entries(texts).forEach(([name, text], i) => check(`SMPP to SIP, ${name}`, arrived[i] === text, JSON.stringify(arrived[i])));

    // By the MI, with a receipt.
    const result = await call('message_send', { from: '100', to: '+4915112345678', text: texts['161 GSM'], receipt: true });
    check('message_send', result.segments === 2 && result.smsc_ids.length === 2, JSON.stringify(result));
    const record = await until('the report', async () => {
      const r = await call('message_show', { id: result.id });
      return r.state === 'reported' && r;
    });
    check('message_show', record.report.state === 'delivered', JSON.stringify(record));

    await wait(1500); // what was captured last is not in the file at once
    cap.child.kill('SIGINT');
    await new Promise(resolve => cap.child.on('exit', resolve));
    const malformed = tshark(cap.file, '-Y', '_ws.malformed || smpp.command_status != 0');
    check('tshark', malformed === '', malformed);
    const submits = tshark(cap.file, '-Y', 'smpp.command_id == 0x00000004', '-T', 'fields', '-e', 'smpp.command_id').match(/0x0+4/g) || [];
    check('tshark sees every submit_sm', submits.length === sent + 2, `${submits.length}, want ${sent + 2}`);
    const decoded = tshark(cap.file, '-Y', 'smpp.command_id == 0x00000004', '-T', 'fields', '-e', 'smpp.message_text');
    for (const [name, text] of Object.entries(texts)) {
      // It shows long texts segment by segment, and a surrogate pair as two characters that are none.
      if (text.length > 70 || /\p{Surrogate}|\p{Extended_Pictographic}/u.test(text)) continue;
      check(`tshark decodes ${name}`, decoded.includes(text), JSON.stringify(decoded.slice(0, 2000)));
    }
  } finally {
    for (const c of children) c.kill();
    if (esme) esme.close();
    server.close();
  }
  console.log(`${database.split(':')[0]}: ${2 * Object.keys(texts).length} texts, ${failures} failures`);
  if (failures) console.log(`what happened is in ${work}`);
  else fs.rmSync(work, { recursive: true });
  process.exit(failures ? 1 : 0);
}

main().catch(err => {
  console.error(err);
  console.error(`what happened is in ${work}`);
  process.exit(1);
});
