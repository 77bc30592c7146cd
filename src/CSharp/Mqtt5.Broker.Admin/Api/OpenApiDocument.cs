using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;

namespace Mqtt5.Admin;

// The OpenAPI document, made of the table of operations and of the types that are serialized, so that it cannot differ from
// them. The schemas come from the serializer itself, which works without reflection in a native executable.
internal static class OpenApiDocument
{
    private static readonly Lazy<string> Made = new(() => Make().ToJsonString(new JsonSerializerOptions { WriteIndented = true }));

    public static string Text => Made.Value;

    private static JsonObject Make()
    {
        var paths = new JsonObject();

        foreach (var group in AdminRoutes.All.GroupBy(route => route.Pattern))
        {
            var path = new JsonObject();

            foreach (var route in group)
                path[route.Method.ToLowerInvariant()] = OperationOf(route);

            paths["/" + group.Key] = path;
        }

        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject
            {
                ["title"] = "Mqtt5 broker administration",
                ["version"] = "1",
                ["description"] = "Looks into a running broker and changes it. Paths are relative to where the API is mapped. "
                    + $"A change needs the header {AdminService.ChangeHeader}: 1 or a body of application/json.",
            },
            ["servers"] = new JsonArray(new JsonObject { ["url"] = "." }),
            ["security"] = new JsonArray(new JsonObject { ["bearer"] = new JsonArray() }),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["securitySchemes"] = new JsonObject { ["bearer"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" } },
                ["schemas"] = new JsonObject { ["Problem"] = SchemaOf(AdminJson.Default.ProblemAnswer) },
            },
        };
    }

    private static JsonObject OperationOf(AdminRoute route)
    {
        var parameters = new JsonArray();

        if (route.Pattern.Contains("{client}", StringComparison.Ordinal))
            parameters.Add((JsonNode)ParameterOf("client", "path", "string", "The Client Identifier, percent-encoded; - with the parameter of that name.", true));

        foreach (var parameter in route.Query)
            parameters.Add((JsonNode)ParameterOf(parameter.Name, "query", parameter.Kind, parameter.Description, parameter.IsRequired));

        var answers = new JsonObject
        {
            [route.Answer is null && route.MediaType is null ? "204" : "200"] = AnswerOf(route),
            ["default"] = new JsonObject
            {
                ["description"] = "Why it is not done.",
                ["content"] = new JsonObject
                {
                    ["application/problem+json"] = new JsonObject { ["schema"] = new JsonObject { ["$ref"] = "#/components/schemas/Problem" } },
                },
            },
        };
        var operation = new JsonObject
        {
            ["operationId"] = IdOf(route),
            ["summary"] = route.Summary,
            ["description"] = route.IsHealth ? "No role is needed, unless the application requires one." : $"For the role {route.Role.ToString().ToLowerInvariant()}.",
            ["parameters"] = parameters,
            ["responses"] = answers,
        };

        if (route.Body is { } body)
        {
            operation["requestBody"] = new JsonObject
            {
                ["required"] = true,
                ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = SchemaOf(body) } },
            };
        }

        return operation;
    }

    private static JsonObject AnswerOf(AdminRoute route)
    {
        var answer = new JsonObject { ["description"] = route.Summary };

        if (route.Answer is { } type)
            answer["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = SchemaOf(type) } };
        else if (route.MediaType is { } media)
            answer["content"] = new JsonObject { [media] = new JsonObject() };

        return answer;
    }

    private static JsonObject ParameterOf(string name, string place, string kind, string description, bool isRequired) => new()
    {
        ["name"] = name,
        ["in"] = place,
        ["description"] = description,
        ["required"] = isRequired,
        ["schema"] = new JsonObject { ["type"] = kind },
    };

    // As getClientsClient.
    private static string IdOf(AdminRoute route) =>
        route.Method.ToLowerInvariant() + string.Concat(
            route.Pattern.Split('/', '.').Select(part => part.Trim('{', '}')).Select(part => char.ToUpperInvariant(part[0]) + part[1..]));

    private static JsonNode SchemaOf(JsonTypeInfo type) => JsonSchemaExporter.GetJsonSchemaAsNode(type.Options, type.Type, new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true });
}
