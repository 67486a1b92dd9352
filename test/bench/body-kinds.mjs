// Bodies for bodies.mjs: what is sent, where to, and what is expected to come back.
import { numbers } from './generated-models.mjs';

const IMAGE = [3, 224, 224];
const PIXELS = 3 * 224 * 224;
/** As many as fit into the limit of 64 MiB. */
const MOST_IMAGES = 21;
const COLUMNS = 30;

/** Every digit that a float32 has when it is printed as a double. */
const random = numbers(17);
const float = () => Math.fround(random());
const nested = ([size, ...rest]) => Array.from({ length: size }, () => (rest.length > 0 ? nested(rest) : float()));
const features = (names) => Object.fromEntries(names.map((name) => [name, float()]));
const names = Array.from({ length: COLUMNS }, (_, index) => `x${index}`);

const tensorsTo = (model, rows, more = '') => ({
  path: `/models/${model}/predict`,
  body: () => `{"inputs":{"x":${JSON.stringify(rows())}}${more}}`,
});

/** The last number is a text, so that everything is read before the fault is found. */
const spoiled = (request) => ({ ...request, body: () => request.body().replace(/(-?[\d.e-]+)(\]+\}\})$/, '"a"$2') });

const images = (count) => () => nested([count, ...IMAGE]);
const flat = (count) => () => nested([count, PIXELS]);

/** `slow` kinds are sent a few times only; `status` is 200 unless said. */
export const BODY_KINDS = [
  { label: 'image, nested', ...tensorsTo('mean_image', images(1)) },
  { label: 'image, flat', ...tensorsTo('mean_flat', flat(1)) },
  { label: 'image, beyond ASCII', ...tensorsTo('mean_image', images(1), ',"symbol":"é"') },
  { label: 'image, last number wrong', ...spoiled(tensorsTo('mean_image', images(1))), status: 422 },
  {
    label: 'image as a feature',
    path: '/predict',
    body: () => `{"model":"mean_image","features":{"x":${JSON.stringify(nested(IMAGE))}}}`,
  },
  { label: '10 images, nested', ...tensorsTo('mean_image', images(10)), slow: true },
  { label: `${MOST_IMAGES} images, flat`, ...tensorsTo('mean_flat', flat(MOST_IMAGES)), slow: true },
  {
    label: `${MOST_IMAGES} images, last number wrong`,
    ...spoiled(tensorsTo('mean_flat', flat(MOST_IMAGES))),
    slow: true,
    status: 422,
  },
  {
    label: 'batch of 1,000',
    path: '/predict/batch',
    body: () =>
      JSON.stringify({
        model: 'dense_small',
        requests: Array.from({ length: 1_000 }, () => ({ symbol: 'A', features: features(names) })),
      }),
  },
  {
    label: 'infer, 10,000 rows',
    path: '/v1/infer',
    body: () =>
      JSON.stringify({ model_id: 'dense_small', inputs: Array.from({ length: 10_000 }, () => features(names)) }),
    slow: true,
  },
  { label: 'image, answered whole', ...tensorsTo('echo_image', images(1)) },
  { label: '10 images, answered whole', ...tensorsTo('echo_image', images(10)), slow: true },
];
