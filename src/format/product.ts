/** How the source of the events is named in records. */
export const vendor = 'Hypersequent';
export const product = 'QA Sphere';
/** Version of the API that gave the events. */
export const apiVersion = 'v0';
/** How this program is named in records. */
export const agentName = 'qasphere-siem-forwarder';
