"""Request bodies: strict JSON, and every wrong field named, not just the first."""

import asyncio
from collections.abc import Generator
from typing import Any, ClassVar, TypeVar, cast

import msgspec
from litestar import Request
from litestar._openapi.schema_generation import SchemaCreator
from litestar.dto import AbstractDTO, DTOFieldDefinition
from litestar.dto._backend import DTOBackend
from litestar.exceptions import InternalServerException
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition
from typing_extensions import override

from service.errors import InvalidRequest, MalformedBody, RequestTimeout, UnsupportedMediaType, Wrong

T = TypeVar("T")

WITHOUT_NUL = r"^[^\u0000]*$"  # which Postgres can keep in no text
BODY_TIMEOUT = 30  # seconds that a client may take to send a body
MOST_WRONGS = 5_000  # a body of 1 MiB could otherwise be answered with twenty times its size


class BodyRequest(Request[Any, Any, Any]):
    """A request whose body, where a route takes one, is there and whole.

    Litestar on its own answers 500 to a body that breaks off (or whose chunks make no sense: the server tells neither
    from the other), and to none at all that a parameter called "data" is missing.
    """

    @override
    async def body(self) -> bytes:
        """Read the body. Raises MalformedBody where it is empty or breaks off, RequestTimeout where it does not end."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await super().body()
        except TimeoutError as error:
            raise RequestTimeout from error
        except InternalServerException as error:
            raise MalformedBody("The body broke off before its end") from error
        if not body:
            raise MalformedBody("The body is empty")
        return body


class StrictBody(AbstractDTO[T]):
    """Decode a body by the type that the handler's `data` declares, and as nothing else.

    Litestar on its own takes `"85"` for 85, any content type for JSON, and names the first wrong field only.
    """

    _decoders: ClassVar[dict[str, msgspec.json.Decoder[Any]]] = {}

    @classmethod
    @override
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: type[DTOBackend] | None = None
    ) -> None:
        """Make the decoder of one handler."""
        cls._decoders[handler_id] = msgspec.json.Decoder(field_definition.raw)

    @override
    def decode_bytes(self, value: bytes) -> Any:
        """Decode a body.

        Raises UnsupportedMediaType, MalformedBody where it is not JSON, and InvalidRequest where it is, but not this.
        """
        if not _is_json(self.asgi_connection.headers.get("content-type", "")):
            raise UnsupportedMediaType
        return decode(value, self._decoders[self.asgi_connection.route_handler.handler_id])

    @classmethod
    @override
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        """Describe the body as the handler declares it, and what Litestar does not take over from msgspec."""
        described = schema_creator.for_field_definition(field_definition)
        kind = msgspec.inspect.type_info(field_definition.raw)
        for choice in kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,):
            if isinstance(choice, msgspec.inspect.StructType):
                definition = FieldDefinition.from_annotation(choice.cls)
                schema = schema_creator.schema_registry.get_schema_for_field_definition(definition)
                schema.additional_properties = not choice.forbid_unknown_fields
            elif isinstance(choice, msgspec.inspect.ListType) and isinstance(described, Schema):
                [array] = [each for each in described.one_of or () if isinstance(each, Schema) and each.items]
                array.min_items, array.max_items = choice.min_length, choice.max_length
        return described

    @classmethod
    @override
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """Transfer nothing field by field: msgspec decodes straight into the type."""
        yield from ()

    @classmethod
    @override
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """See generate_field_definitions."""
        return False


def _is_json(content_type: str) -> bool:
    media_type, _, parameters = content_type.partition(";")
    # RFC 8259 defines no charset; who sends one all the same may mean UTF-8 only.
    charset = parameters.strip().lower().replace('"', "")
    return media_type.strip().lower() == "application/json" and charset in {"", "charset=utf-8"}


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Decode `body`; only one that is wrong pays for being looked at field by field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        pass
    except (ValueError, RecursionError) as error:  # DecodeError and UnicodeDecodeError are ValueErrors
        raise MalformedBody(f"The body is not JSON: {error}") from error
    try:
        anything = msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        raise MalformedBody(f"The body is not JSON: {error}") from error
    raise InvalidRequest(errors=_find_wrongs(anything, decoder.type, "")[:MOST_WRONGS])


def _find_wrongs(value: Any, expected: Any, pointer: str) -> list[Wrong]:
    """Name everything in `value` that keeps it from being `expected`, each with its JSON pointer."""
    kind = msgspec.inspect.type_info(expected)
    if isinstance(kind, msgspec.inspect.UnionType):
        # The only unions in our bodies are "one object or a list of them": what was sent says which was meant.
        wanted = msgspec.inspect.ListType if isinstance(value, list) else msgspec.inspect.StructType
        kind = next((choice for choice in kind.types if isinstance(choice, wanted)), kind)
    if isinstance(kind, msgspec.inspect.StructType) and isinstance(value, dict):
        return _find_wrong_fields(value, kind, pointer)
    if isinstance(kind, msgspec.inspect.ListType) and isinstance(value, list):
        return _find_wrong_items(value, kind, pointer)
    return _find_wrong_value(value, expected, pointer)


def _find_wrong_fields(value: dict[str, Any], kind: msgspec.inspect.StructType, pointer: str) -> list[Wrong]:
    wrongs: list[Wrong] = []
    annotations = {field.encode_name: field.type for field in msgspec.structs.fields(kind.cls)}
    for field in kind.fields:
        at = f"{pointer}/{field.encode_name}"
        if field.encode_name in value:
            wrongs += _find_wrongs(value[field.encode_name], annotations[field.encode_name], at)
        elif field.required:
            wrongs.append(Wrong("Required, but missing", pointer=at))
    for name in value:
        if name not in annotations:
            escaped = name.replace("~", "~0").replace("/", "~1")
            wrongs.append(Wrong("Not a field of this object", pointer=f"{pointer}/{escaped}"))
    return wrongs


def _find_wrong_items(value: list[Any], kind: msgspec.inspect.ListType, pointer: str) -> list[Wrong]:
    # Our bodies list objects, and nothing else.
    item = cast("msgspec.inspect.StructType", kind.item_type).cls
    least, most = kind.min_length or 0, kind.max_length
    if len(value) < least or (most is not None and len(value) > most):
        return [Wrong(f"Expected a list of {least} to {most}, got {len(value)}", pointer=pointer)]
    return [wrong for position, each in enumerate(value) for wrong in _find_wrongs(each, item, f"{pointer}/{position}")]


def _find_wrong_value(value: Any, expected: Any, pointer: str) -> list[Wrong]:
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        return [Wrong(str(error).partition(" - at ")[0].replace("`", ""), pointer=pointer)]
    return []
