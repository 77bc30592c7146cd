using System.Text.Json;
using System.Text.Json.Serialization;

namespace Mqtt5.HttpHook.Requests;

// What the server answered, as far as it was understood.
internal sealed record HookAnswer(bool IsAllowed, string? UserName, DateTimeOffset? ExpiresAt, MqttAccessRules? Rules)
{
    // Null: it is no answer. A rule is a line of the access rules without a subject, which is the client itself.
    public static HookAnswer? Read(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, HookJson.Default.AnswerDocument) is { Allow: { } isAllowed } document
                && (document.UserName is null || Utf8String.Create(document.UserName).IsOk)
                    ? new HookAnswer(isAllowed, document.UserName, document.ExpiresAt, isAllowed ? RulesOf(document.Rules) : null)
                    : null;
        }
        catch (Exception failure) when (failure is JsonException or FormatException)
        {
            return null;
        }
    }

    private static MqttAccessRules? RulesOf(string?[]? lines)
    {
        if (lines is null)
            return null;

        foreach (var line in lines)
        {
            // Another line, or a subject, would make rules for other clients of what follows.
            if (line is null || line.AsSpan().IndexOfAny('\r', '\n') >= 0 || !(IsRule(line, "allow ") || IsRule(line, "deny ")))
                throw new FormatException("it is no rule");
        }

        return MqttAccessRules.Parse(string.Join('\n', ["everyone", .. lines]));
    }

    private static bool IsRule(string line, string word) => line.StartsWith(word, StringComparison.Ordinal);
}

// The answer as the server writes it. Members that are not known are passed over.
internal sealed record AnswerDocument(bool? Allow, string? UserName, DateTimeOffset? ExpiresAt, string?[]? Rules);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, AllowDuplicateProperties = false)]
[JsonSerializable(typeof(AnswerDocument))]
internal sealed partial class HookJson : JsonSerializerContext;
