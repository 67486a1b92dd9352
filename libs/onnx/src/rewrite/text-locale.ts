import { delimited, encodeMessage } from '../wire/encode-message';
import { wireFields } from '../wire/wire-fields';

const NODE_ATTRIBUTE = 5;
const ATTRIBUTE = { name: 1, text: 4 };
const STRING = 3;

/** Part of every glibc, and with the same upper and lower case of every letter as en_US. */
const EVERYWHERE = 'C.UTF-8';
/** What converters write, and what the runtime takes where they write nothing. */
const AMERICAN = /^en_US(\.utf-?8)?$/i;

/**
 * The node with a locale that is on every machine, where it asks for American English: servers rarely have that, and the
 * runtime refuses to load the model then. Undefined where the node asks for nothing, or for another language.
 */
export function withLocaleEverywhere(node: Buffer): Buffer | undefined {
  const fields = wireFields(node);
  const attributes = fields.filter(({ number }) => number === NODE_ATTRIBUTE);
  const texts = new Map(attributes.map(({ content, whole }) => [textOf(content, ATTRIBUTE.name), { content, whole }]));
  const action = textOf(texts.get('case_change_action')?.content, ATTRIBUTE.text);
  if ((action === '' || action === 'NONE') && !texts.has('stopwords')) return undefined;
  const locale = texts.get('locale');
  const named = textOf(locale?.content, ATTRIBUTE.text);
  if (named !== '' && !AMERICAN.test(named)) return undefined;
  const kept = fields.filter(({ whole }) => whole !== locale?.whole).map(({ whole }) => whole);
  const attribute = encodeMessage('AttributeProto', { name: 'locale', s: EVERYWHERE, type: STRING });
  return Buffer.concat([...kept, delimited(NODE_ATTRIBUTE, attribute)]);
}

function textOf(attribute: Buffer | undefined, field: number): string {
  return (
    wireFields(attribute ?? Buffer.alloc(0))
      .find(({ number }) => number === field)
      ?.content.toString('utf8') ?? ''
  );
}
