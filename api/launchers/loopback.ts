// Whether an address is this machine's own.

const hostnames = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Whether a URL is of the loopback address; false of what is no URL. */
export function isLoopback(url: string): boolean {
  return URL.canParse(url) && hostnames.test(new URL(url).hostname);
}
