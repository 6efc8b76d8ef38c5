import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Checks, holds, until } from './checks.ts';
import { runCommand } from './commands.ts';
import { Container } from './container.ts';
import { allArrived, firstKey, type Peers, startPeers } from './peers.ts';

const nonroot = 65532;
const someone = 12345;
const MAX_OWN_BYTES = 40 * 1024 ** 2;
const stateDirectory = '/var/lib/qasphere-siem-forwarder';

/** The Dockerfile as it stands, and what it makes. */
export async function checkImage(checks: Checks, tools: string, root: string): Promise<void> {
  const image = 'localhost/qasphere-siem-forwarder:checked';
  const work = mkdtempSync(join(tmpdir(), 'forwarder-image-'));
  let runs = 0;

  /** A state directory and a configuration of a run, owned by whom it runs as, or the former by another. */
  const prepare = (peers: Peers, uid: number, owner = uid) => {
    const folder = join(work, `run-${++runs}`);
    const state = join(folder, 'state');
    mkdirSync(state, { recursive: true });
    chownSync(state, owner, uid);
    chmodSync(state, owner === uid ? 0o700 : 0o2770);
    const put = (name: string, text: string) => {
      const path = join(folder, name);
      writeFileSync(path, text);
      chownSync(path, uid, uid);
      chmodSync(path, 0o400);
      return path;
    };
    const volumes = [
      [state, stateDirectory],
      [put('config.yaml', configuration(peers)), '/etc/qasphere-siem-forwarder/config.yaml:ro'],
      [put('key', firstKey), '/run/secrets/qasphere_api_key:ro'],
      [put('token', peers.hec.token), '/run/secrets/splunk_hec_token:ro'],
    ].flatMap(([from, to]) => ['--volume', `${from}:${to}`]);
    return (more: readonly string[] = []) =>
      new Container(tools, {
        image,
        name: `forwarder-${process.pid}-${runs}`,
        args: [...volumes, ...more],
        pidFile: join(folder, 'pid'),
      });
  };
  const use = async (work: (peers: Peers) => Promise<void>) => {
    await using peers = await startPeers();
    await work(peers);
  };

  try {
    let built = false;
    await checks.check('the unchanged Dockerfile builds', async () => {
      const { code, output } = await runCommand(join(tools, 'image-build'), ['-t', image, root]);
      holds(code === 0, output.slice(-1000));
      built = true;
    });
    if (!built) return;

    await checks.check('our own layers are under 40 MB', async () => {
      const measure =
        "const fs=require('fs');let sum=0;for(const e of fs.readdirSync('/app',{recursive:true,withFileTypes:true}))if(e.isFile())sum+=fs.statSync(e.parentPath+'/'+e.name).size;console.log(sum)";
      const args = ['--entrypoint', '/nodejs/bin/node', image, '-e', measure];
      const { output } = await runCommand(join(tools, 'image-run'), args);
      const bytes = Number(output);
      holds(bytes > 0 && bytes < MAX_OWN_BYTES, `/app holds ${output} bytes`);
    });

    await checks.check('it moves records, locked down, is healthy, and drains on SIGTERM', () =>
      use(async (peers) => {
        const container = prepare(peers, nonroot)();
        await allArrived(peers);
        await until(
          async () => (await container.health()).code === 0,
          async () => JSON.stringify(await container.health()) + container.output,
        );
        const startMs = performance.now();
        container.terminate();
        const code = await container.ended;
        const tookMs = performance.now() - startMs;
        holds(code === 0 && tookMs < 10_000, `exit ${code} after ${Math.round(tookMs)} ms: ${container.output}`);
        holds(peers.doubles() === 0, `${peers.doubles()} events came twice`);
      }),
    );

    await checks.check('it survives SIGKILL without loss', () =>
      use(async (peers) => {
        const start = prepare(peers, nonroot);
        const first = start();
        await peers.hec.until(() => peers.hec.count > 1_000);
        await first.kill();
        holds((await first.ended) === 137, `exit ${await first.ended}`);
        const second = start();
        await allArrived(peers);
        second.terminate();
        await second.ended;
        holds(peers.doubles() <= 1_000, `${peers.doubles()} events came twice`);
      }),
    );

    await checks.check('it runs as any user who owns the volume', () =>
      use(async (peers) => {
        const container = prepare(peers, someone)(['--user', String(someone)]);
        await allArrived(peers);
        container.terminate();
        holds((await container.ended) === 0, container.output);
      }),
    );

    await checks.check('it takes a volume as Kubernetes prepares it: root’s, writable for its group', () =>
      use(async (peers) => {
        const container = prepare(peers, nonroot, 0)();
        await allArrived(peers);
        container.terminate();
        holds((await container.ended) === 0, container.output);
      }),
    );

    await checks.check('its health check turns unhealthy when the key is refused in wait mode, and it stays up', () =>
      use(async (peers) => {
        const container = prepare(peers, nonroot)();
        await allArrived(peers);
        const healthy = async () => (await container.health()).code === 0;
        await until(healthy, () => container.output);
        peers.simulator.setKey('another');
        await until(
          async () => !(await healthy()),
          () => 'it is healthy still',
          // The key file is read again for up to 30 s before a 401 is believed.
          60_000,
        );
        peers.simulator.setKey(firstKey);
        holds(!/"event":"daemon.stopped"/.test(container.output), container.output);
        container.terminate();
        holds((await container.ended) === 0, container.output);
      }),
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const configuration = ({ simulator, hec }: Peers) => `
source:
  url: "${simulator.url}"
  apiKeyFile: /run/secrets/qasphere_api_key
  onKeyRejected: wait
  schedule: "* * * * * *"
  requestsPerSecond: 20
sinks:
  - { name: splunk, type: splunk-hec, url: "${hec.url}", tokenFile: /run/secrets/splunk_hec_token }
`;
