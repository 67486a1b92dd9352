/** Version of this server; a test compares it with package.json, which is not there at run time in every image. */
export const SERVER_VERSION = '0.1.0';
