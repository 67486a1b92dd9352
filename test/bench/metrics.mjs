// What the server's own metrics say.

/** A scrape as a function from a sample's name, labels included as they are printed, to its value. */
export async function scrape(server) {
  const answer = await server.call('GET', '/metrics');
  if (answer.status !== 200) throw new Error(`metrics: ${answer.status}`);
  const values = new Map(
    answer.body
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
  return (name) => values.get(name) ?? NaN;
}

/** Rows in the mean batch between two scrapes. */
export function meanBatch(before, after) {
  const grown = (part) => {
    const name = `sibyl_inference_batch_size_${part}`;
    return after(name) - before(name);
  };
  return grown('sum') / grown('count');
}

/** How late the event loop was since the scrape before this one, in milliseconds. */
export function loopDelayMs(metrics, quantile) {
  return metrics(`sibyl_event_loop_delay_seconds{quantile="${quantile}"}`) * 1e3;
}
