// What the interoperability tests share: the gateway as a process and by its MI, node's smpp as an SMSC that behaves, what crossed the wire,
// and checks.
'use strict';
const { spawn, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

// until gives what a condition becomes once that is true.
async function until(what, condition, seconds = 30) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await wait(20)) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`${what} did not come within ${seconds} s`);
}

// ended waits for the end of a process, and gives its exit code.
const ended = child => new Promise(resolve => child.once('exit', resolve));

// folder is one for the files of a test.
const folder = name => fs.mkdtempSync(path.join(os.tmpdir(), `sipsmpp-${name}-`));

// checks makes check(what, ok, detail), which tells what is not as it should be, and what is, unless quiet.
function checks({ quiet = false } = {}) {
  const check = (what, ok, detail) => {
    if (!ok && ++check.failures > 20) return;
    if (!ok) console.log(`FAILED ${what}: ${typeof detail === 'string' ? detail : JSON.stringify(detail)}`);
    else if (!quiet) console.log(`ok     ${what}`);
  };
  check.failures = 0;
  return check;
}

// run runs a test and ends the process, with 1 where something failed: then the files of the test stay.
function run(main, check, work) {
  main().catch(error => check('the run', false, error.stack)).finally(() => {
    if (check.failures) console.log(`${check.failures} failures; what happened is in ${work}`);
    else {
      fs.rmSync(work, { recursive: true });
      console.log('all is well');
    }
    process.exit(check.failures ? 1 : 0);
  });
}

// --- the gateway ---

// post calls a method of the MI and gives the whole response.
async function post(mi, method, params) {
  const response = await fetch(mi, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return response.json();
}

// caller gives call(method, params), whose refusals throw.
const caller = mi => async (method, params) => {
  const { result, error } = await post(mi, method, params);
  if (error) throw new Error(`${method}: ${JSON.stringify(error)}`);
  return result;
};

// startGateway starts one with a configuration, and gives its process once its MI answers.
async function startGateway(binaries, work, config, call) {
  const file = path.join(work, 'sipsmpp.yaml');
  fs.writeFileSync(file, config);
  const log = fs.openSync(path.join(work, 'sipsmppd.log'), 'a');
  const child = spawn(path.join(binaries, 'sipsmppd'), ['-c', file], { stdio: ['ignore', log, log] });
  fs.closeSync(log);
  try {
    await until('the MI', () => {
      if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}`);
      return call('version').catch(() => false);
    });
  } catch (error) {
    child.kill();
    throw error;
  }
  return child;
}

// isBound is a condition for until.
const isBound = (call, name) => async () => (await call('smpp_list', { name })).connections[0].state === 'bound';

// sql runs a statement by the database's own client.
function sql(database, statement) {
  const url = database.startsWith('sqlite:') ? null : new URL(database);
  if (!url) return execFileSync('sqlite3', [database.slice('sqlite:'.length), statement]);
  if (url.protocol === 'postgres:') return execFileSync('psql', ['-q', database, '-c', statement]);
  return execFileSync('mariadb', ['-h', url.hostname, '-P', url.port || '3306', '-u', url.username, url.pathname.slice(1), '-e', statement]);
}

// --- node's smpp ---

// behaves lets a session answer what every session must.
function behaves(session) {
  session.on('error', () => {});
  session.on('enquire_link', pdu => session.send(pdu.response()));
  session.on('unbind', pdu => session.send(pdu.response()));
}

// receipt is the deliver_sm that tells what became of a submit_sm.
const receipt = (submit, id) => ({
  source_addr: submit.destination_addr, destination_addr: submit.source_addr, esm_class: 4,
  short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD err:000 text:`,
});

// --- what else there is ---

// certificate makes cert.pem and key.pem for this host.
function certificate(work) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost',
    '-keyout', path.join(work, 'key.pem'), '-out', path.join(work, 'cert.pem')], { stdio: 'ignore' });
}

// capture begins to write down what crosses some ports of this host; protocols says what each speaks: { 2775: 'smpp', 5060: 'sip' }.
async function capture(work, protocols) {
  const file = path.join(work, 'capture.pcap');
  const child = spawn('tshark', ['-q', '-i', 'lo', '-w', file, '-f', Object.keys(protocols).map(port => `port ${port}`).join(' or ')],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  process.on('exit', () => child.kill());
  await new Promise(resolve => child.stderr.on('data', data => /Capturing/.test(data) && resolve()));
  const decode = Object.entries(protocols).flatMap(([port, protocol]) =>
    (protocol === 'smpp' ? ['tcp'] : ['tcp', 'udp']).flatMap(transport => ['-d', `${transport}.port==${port},${protocol}`]));
  return {
    kill: signal => child.kill(signal),
    async end() {
      await wait(1500); // what was captured last is not in the file at once
      child.kill('SIGINT');
      await ended(child);
    },
    // read gives tshark's lines of what a filter takes.
    read: (filter, ...args) => execFileSync('tshark', ['-r', file, ...decode, '-Y', filter, ...args],
      { stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 }).toString(),
  };
}

module.exports = { wait, until, ended, folder, checks, run, post, caller, startGateway, isBound, sql, behaves, receipt, certificate, capture };
