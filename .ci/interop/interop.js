// The gateway between programs that its authors did not write: node's smpp is the SMSC, sipp the SIP endpoint on both sides, tshark
// reads what crossed the wire.
//
//   node interop.js BINARIES DATABASE
//
// BINARIES is the folder of sipsmppd and sipsmpp-cli. DATABASE is a db: value of the gateway whose tables may be used. It ends
// with 1 and says what differs if one text does not arrive as it was sent, in either direction.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const smpp = require('smpp');
const { until, folder, checks, run, caller, startGateway, isBound, sql, behaves, receipt, capture } = require('./rig');

const [binaries, database] = process.argv.slice(2);
const work = folder('interop');
const ports = { smsc: 21775, sip: 21060, sink: 21062, mi: 21888 };
const check = checks({ quiet: true });
const call = caller(`http://127.0.0.1:${ports.mi}/mi`);

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

// --- the SMSC: node's smpp ---

const segments = []; // of the submit_sm that came
let esme;            // the gateway's session
let ids = 0;
const server = smpp.createServer({}, session => {
  behaves(session);
  session.on('bind_transceiver', pdu => {
    esme = session;
    session.send(pdu.response({ system_id: 'node' }));
  });
  session.on('submit_sm', pdu => {
    const id = String(++ids);
    segments.push(pdu);
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery) session.deliver_sm(receipt(pdu, id));
  });
});

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

async function main() {
  const children = [];
  server.listen(ports.smsc, '127.0.0.1');
  const cap = await capture(work, { [ports.smsc]: 'smpp', [ports.sip]: 'sip', [ports.sink]: 'sip' });
  children.push(cap);
  children.push(await startGateway(binaries, work, `
node: interop
db: "${database}"
sip:
  listen: ["udp:127.0.0.1:${ports.sip}", "tcp:127.0.0.1:${ports.sip}"]
  outbound_uri: sip:127.0.0.1:${ports.sink}
  probe_interval: -1s # sipp would count an OPTIONS as a call
mi:
  listen: 127.0.0.1:${ports.mi}
`, call));
  const log = path.join(work, 'messages.log');
  const sink = spawn('sipp', ['-sf', uas(), '-i', '127.0.0.1', '-p', String(ports.sink), '-nostdin', '-trace_msg', '-message_file', log,
    '-m', String(Object.keys(texts).length), '-trace_err'],
  { cwd: work, stdio: ['ignore', 'ignore', fs.openSync(path.join(work, 'sink.err'), 'w')] });
  children.push(sink);
  try {
    sql(database, `INSERT INTO smpp (name, ip, port, system_id, password, system_type, src_ton, src_npi, dst_ton, dst_npi, session_type)
         VALUES ('node', '127.0.0.1', ${ports.smsc}, 'gateway', 'secret', '', 0, 0, 0, 0, 1)`);
    const reloaded = await call('smpp_reload');
    check('smpp_reload', JSON.stringify(reloaded.added) === '["node"]', JSON.stringify(reloaded));
    await until('the bind', isBound(call, 'node'));

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

    await cap.end();
    const malformed = cap.read('_ws.malformed || smpp.command_status != 0');
    check('tshark', malformed === '', malformed);
    const submits = cap.read('smpp.command_id == 0x00000004', '-T', 'fields', '-e', 'smpp.command_id').match(/0x0+4/g) || [];
    check('tshark sees every submit_sm', submits.length === sent + 2, `${submits.length}, want ${sent + 2}`);
    const decoded = cap.read('smpp.command_id == 0x00000004', '-o', 'smpp.decode_sms_over_smpp:GSM 7-bit', '-T', 'fields', '-e', 'smpp.message_text');
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
  console.log(`${2 * Object.keys(texts).length} texts`);
}

run(main, check, work);
