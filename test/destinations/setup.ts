import type { TestProject } from 'vitest/node';
import { fetchJars, type Jars } from './maven.ts';
import { findGateway } from './s3-gateway.ts';

declare module 'vitest' {
  interface ProvidedContext {
    s3: { readonly program: string } | { readonly missing: string };
    kafka: Jars;
    opensearch: Jars;
  }
}

const kafka = ['org.apache.kafka:kafka_2.13:4.1.1', 'org.apache.kafka:kafka-tools:4.1.1'];
const opensearch = [
  'org.opensearch:opensearch:2.19.3',
  'org.opensearch.plugin:transport-netty4-client:2.19.3',
  'org.apache.logging.log4j:log4j-core:2.21.0',
];

export default async function setup(project: TestProject): Promise<void> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  project.provide('s3', await findGateway(say));
  project.provide('kafka', await fetchJars('kafka-4.1.1', kafka, say));
  project.provide('opensearch', await fetchJars('opensearch-2.19.3', opensearch, say));
}
