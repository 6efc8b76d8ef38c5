/** Version of the interface between the forwarder and plug-ins. */
export const contract = 1;
