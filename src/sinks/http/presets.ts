/** What a vendor's endpoint expects. A preset sets these options; an explicit option that contradicts one is an error. */
export interface Preset {
  readonly body: 'ndjson' | 'array';
  /** Header that carries `bearerToken`, if the vendor does not use `Authorization`. */
  readonly keyHeader?: string;
  /** Headers that the vendor requires, in lower case. `bearerToken` may supply the one named by `keyHeader`. */
  readonly requiredHeaders: readonly string[];
  /** The vendor's limits; also the defaults. */
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly compression: 'gzip' | 'none';
  /** The URL's path is a secret. */
  readonly isPathSecret?: true;
}

export const presetNames = ['datadog', 'sumo', 'google-secops', 'splunk-observability', 'elastic-agent'] as const;

export type PresetName = (typeof presetNames)[number];

export const presets: Readonly<Record<PresetName, Preset>> = {
  /** Datadog, "Send logs" (API v2): an array of at most 1,000 entries and 5 MB; the key in DD-API-KEY. */
  datadog: {
    body: 'array',
    keyHeader: 'dd-api-key',
    requiredHeaders: ['dd-api-key'],
    maxEvents: 1000,
    maxBytes: 5_000_000,
    compression: 'gzip',
  },
  /** Sumo Logic, "HTTP Logs and Metrics Source": one record a line, at most 1 MB; the URL itself is the credential. */
  sumo: {
    body: 'ndjson',
    requiredHeaders: [],
    maxEvents: 10_000,
    maxBytes: 1_000_000,
    compression: 'gzip',
    isPathSecret: true,
  },
  /** Google SecOps, feed of the type "webhook": split at line feeds; an API key and the feed's own secret in headers. */
  'google-secops': {
    body: 'ndjson',
    keyHeader: 'x-webhook-access-key',
    requiredHeaders: ['x-goog-api-key', 'x-webhook-access-key'],
    maxEvents: 10_000,
    maxBytes: 4_000_000,
    compression: 'none',
  },
  /** Splunk Observability Cloud, ingest API: the access token in X-SF-Token. */
  'splunk-observability': {
    body: 'array',
    keyHeader: 'x-sf-token',
    requiredHeaders: ['x-sf-token'],
    maxEvents: 1000,
    maxBytes: 1_000_000,
    compression: 'gzip',
  },
  /** Elastic Agent, "Custom HTTP Endpoint Logs" (Filebeat's http_endpoint): an array of objects; authentication is optional. */
  'elastic-agent': {
    body: 'array',
    requiredHeaders: [],
    maxEvents: 1000,
    maxBytes: 1_000_000,
    compression: 'gzip',
  },
};
