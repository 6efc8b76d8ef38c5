/** The names of the source of the events in records. */
export const vendor = 'Hypersequent';
export const product = 'QA Sphere';
/** Version of the API from which the events come. */
export const apiVersion = 'v0';
/** The name of this program in records. */
export const agentName = 'qasphere-siem-forwarder';
