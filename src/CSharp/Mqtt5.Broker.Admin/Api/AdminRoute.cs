using System.Text.Json.Serialization.Metadata;

namespace Mqtt5.Admin;

// One operation of the API: how it is mapped, who may, and how the OpenAPI document describes it.
internal sealed record AdminRoute(string Method, string Pattern, MqttAdminRole Role, string Summary, Func<AdminCall, Task> Run)
{
    // The parameters of the query.
    public AdminParameter[] Query { get; init; } = [];

    // The type of the body; null: there is none.
    public JsonTypeInfo? Body { get; init; }

    // The type of the answer; null: there is no content, or it is of the other media type.
    public JsonTypeInfo? Answer { get; init; }

    // The media type of an answer that is not JSON; null: it is.
    public string? MediaType { get; init; }

    public bool IsHealth { get; init; }

    // Whether it needs the whole of something, so that only few run at a time.
    public bool IsSearch { get; init; }

    public bool IsChange => Method != "GET";
}

// A parameter of a query. The kind is the type of JSON Schema.
internal sealed record AdminParameter(string Name, string Kind, string Description, bool IsRequired = false);
