import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { configOf, load } from '../support/configuration.ts';
import { scratch } from '../support/scratch.ts';

const read = (path: string) => readFileSync(path, 'utf8');
const { file } = scratch();

/** The same with every secret it names put into a directory of ours. */
const withSecrets = (text: string) =>
  text.replaceAll(/\/run\/secrets\/[\w./-]+/g, (path) => file(basename(path), 'content'));

describe('the Compose file', () => {
  const compose = parse(read('config/compose.splunk.yaml'));
  const { forwarder, splunk } = compose.services;

  it('holds a valid configuration that waits when the key is refused', () => {
    // What Compose leaves of a doubled dollar.
    const text = withSecrets(compose.configs.forwarder.content.replaceAll('$$', '$'));
    const { source, sinks } = configOf(load(text, { QASPHERE_URL: 'https://acme.eu1.qasphere.com' }));
    expect(source).toMatchObject({ onKeyRejected: 'wait', url: 'https://acme.eu1.qasphere.com' });
    expect(sinks).toMatchObject([{ type: 'splunk-hec', url: 'http://splunk:8088', allowPlainHttp: true }]);
  });

  it('gives each container the secrets it names, as files, and none by value', () => {
    const text = read('config/compose.splunk.yaml');
    for (const name of [...forwarder.secrets, ...splunk.secrets])
      expect(compose.secrets[name], name).toEqual({ file: `./secrets/${name}` });
    expect([...text.matchAll(/\/run\/secrets\/([\w-]+)/g)].map(([, name]) => name).sort()).toEqual(
      ['qasphere-api-key', 'splunk-hec-token', 'splunk-hec-token', 'splunk-password'].sort(),
    );
  });

  it('locks the forwarder down, keeps its state, and stops it in peace', () => {
    expect(forwarder).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      volumes: ['forwarder-state:/var/lib/qasphere-siem-forwarder'],
      depends_on: { splunk: { condition: 'service_healthy' } },
      restart: 'unless-stopped',
    });
    expect(Number.parseInt(forwarder.stop_grace_period, 10)).toBeGreaterThan(8);
  });
});

describe('the Kubernetes manifest', () => {
  const documents = parseAllDocuments(read('config/kubernetes.yaml')).map((document) => document.toJS());
  const [configMap, set, service] = documents;
  const pod = set.spec.template.spec;
  const [container] = pod.containers;

  it('keeps its state in a directory inside the volume, whose root may be writable by everyone', () => {
    const { state } = configOf(load(withSecrets(configMap.data['config.yaml'])));
    const { mountPath } = container.volumeMounts.find(({ name }: { name: string }) => name === 'state');
    expect(dirname(state.directory)).toBe(mountPath);
  });

  it('holds a valid configuration that waits when the key is refused and listens for the probes', () => {
    const { source, telemetry } = configOf(load(withSecrets(configMap.data['config.yaml'])));
    expect(source.onKeyRejected).toBe('wait');
    expect(telemetry.listen).toEqual({ host: '0.0.0.0', port: container.ports[0].containerPort });
  });

  it('is one replica of a StatefulSet, whose parts fit together', () => {
    expect(documents.map(({ kind }) => kind)).toEqual(['ConfigMap', 'StatefulSet', 'Service']);
    expect(set.spec.replicas).toBe(1);
    expect(set.spec.serviceName).toBe(service.metadata.name);
    expect(set.spec.selector.matchLabels).toEqual(set.spec.template.metadata.labels);
    expect(service.spec.selector).toEqual(set.spec.selector.matchLabels);
    const volumes = [...pod.volumes, ...set.spec.volumeClaimTemplates.map(({ metadata }: never) => metadata)];
    expect(container.volumeMounts.map(({ name }: { name: string }) => name).sort()).toEqual(
      volumes.map(({ name }: { name: string }) => name).sort(),
    );
    expect(pod.volumes[0].configMap.name).toBe(configMap.metadata.name);
    expect(Number(pod.terminationGracePeriodSeconds)).toBeGreaterThan(8);
  });

  // https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
  it('keeps to the restricted pod security standard', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod.securityContext.runAsUser).toBeGreaterThan(0);
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC', 'initContainers']) expect(pod).not.toHaveProperty(key);
    for (const volume of pod.volumes)
      expect(['configMap', 'secret']).toContain(Object.keys(volume).find((key) => key !== 'name'));
    expect(container.ports.every((port: object) => !Object.hasOwn(port, 'hostPort'))).toBe(true);
  });
});

describe('the systemd units', () => {
  const main = read('systemd/qasphere-siem-forwarder.service');
  const template = read('systemd/qasphere-siem-forwarder@.service');
  const directives = (text: string) => text.split('\n').filter((line) => /^[A-Z]/.test(line));

  it('are the same but for names, secrets, user, state and the check whether one is configured', () => {
    const own = /^(Description|ExecCondition|ExecStart|LoadCredential|User|StateDirectory|ExecPaths)=/;
    const common = (text: string) => directives(text).filter((line) => !own.test(line));
    expect(common(template)).toEqual(common(main));
  });

  it('give the program longer to stop than it takes, and never give up on it', () => {
    for (const text of [main, template]) {
      const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? '';
      expect(Number.parseInt(value('TimeoutStopSec'), 10)).toBeGreaterThan(8);
      expect(value('TimeoutStartSec')).toBe('infinity');
      expect(value('StartLimitIntervalSec')).toBe('0');
      expect(value('RestartPreventExitStatus')).toBe('64 77 78');
    }
  });

  it('come in the package with a configuration that is valid once the tenant is named', () => {
    const text = read('packaging/debian/config.yaml').replaceAll('COMPANY.REGION', 'acme.eu1');
    const credentials = { CREDENTIALS_DIRECTORY: file('credentials/qasphere-api-key', 'k').replace(/\/[^/]+$/, '') };
    file('credentials/splunk-hec-token', 't');
    expect(configOf(load(text, credentials)).source.url).toBe('https://acme.eu1.qasphere.com');
    const commented = text.replaceAll(/^( *)# (- name:|telemetry:| {2}\w+:)/gm, '$1$2');
    expect(configOf(load(commented, credentials)).sinks.map(({ type }) => type)).toEqual(['splunk-hec', 'syslog']);
  });
});
