using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mqtt5.Admin;

// One request: its parameters, checked, and its answer.
internal sealed class AdminCall(HttpContext context, AdminService service, AdminRoute route)
{
    private const int DefaultEntries = 100;
    private const int MostCursorCharacters = 256 * 1024;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public HttpContext Context => context;

    public AdminService Service => service;

    public MqttBroker Broker => service.Broker;

    public MqttBrokerInspection Inspection => service.Broker.Inspection;

    // What a change was done to, for the audit log.
    public string Target { get; set; } = "";

    // The Client Identifier of the path, or of the parameter client for one that no path can hold, such as "..".
    public string ClientOfPath()
    {
        Target = Text("client") ?? SegmentOfPath();
        return Target;
    }

    public string Required(string name) =>
        Text(name) ?? throw AdminProblem.Bad(name, "it is missing");

    public string? Text(string name)
    {
        var values = context.Request.Query[name];
        return values.Count switch
        {
            0 => null,
            1 => values[0],
            _ => throw AdminProblem.Bad(name, "it is given more than once"),
        };
    }

    public int Count() => Number("limit", 1, MqttBrokerInspection.MostEntries) ?? DefaultEntries;

    public int? Number(string name, int least, int most)
    {
        if (Text(name) is not { } text)
            return null;

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
            ? number
            : throw AdminProblem.Bad(name, $"it is no whole number from {least} to {most}");
    }

    public bool? Switch(string name) => Text(name) switch
    {
        null => null,
        "true" => true,
        "false" => false,
        _ => throw AdminProblem.Bad(name, "it is neither true nor false"),
    };

    public string? OneOf(string name, params ReadOnlySpan<string> values)
    {
        var text = Text(name);

        if (text is not null && !values.Contains(text))
            throw AdminProblem.Bad(name, $"it is none of {string.Join(", ", values!)}");

        return text;
    }

    // Where the page before ended.
    public string? Cursor()
    {
        if (Text("cursor") is not { } text)
            return null;

        try
        {
            if (text.Length <= MostCursorCharacters)
                return Strict.GetString(Base64Url.DecodeFromChars(text));
        }
        catch (Exception exception) when (exception is FormatException or DecoderFallbackException)
        {
            // It is told below.
        }

        throw AdminProblem.Bad("cursor", "it is not one that a page gave");
    }

    // A body in JSON.
    public async Task<T> BodyAsync<T>(JsonTypeInfo<T> type)
        where T : class
    {
        if (!context.Request.HasJsonContentType())
            throw new AdminProblem(415, "Content-Type", "the body has to be application/json");

        var most = service.Options.MaximumBodyBytes;

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature)
            feature.MaxRequestBodySize = most;

        try
        {
            return await JsonSerializer.DeserializeAsync(context.Request.Body, type, context.RequestAborted).ConfigureAwait(false)
                ?? throw AdminProblem.Bad("body", "it is null");
        }
        catch (JsonException exception)
        {
            throw AdminProblem.Bad(exception.Path is { Length: > 2 } path ? path : "body", $"it is no JSON of this form, line {exception.LineNumber + 1}");
        }
        catch (BadHttpRequestException exception) when (exception.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw new AdminProblem(413, "body", $"it is larger than {most} bytes");
        }
    }

    public Task AnswerAsync<T>(T value, JsonTypeInfo<T> type, int status = StatusCodes.Status200OK)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(value, type, cancellationToken: context.RequestAborted);
    }

    public Task AnswerAsync<T>(MqttPage<T> page, JsonTypeInfo<AdminPage<T>> type) =>
        AnswerAsync(new AdminPage<T>(page.Items, page.Next is null ? null : Base64Url.EncodeToString(Strict.GetBytes(page.Next))), type);

    public Task DoneAsync()
    {
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    // As it was sent, because routing decodes all of a segment but %2F, which a Client Identifier may hold as it is.
    private string SegmentOfPath()
    {
        var target = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var end = target.IndexOf('?', StringComparison.Ordinal);
        var segments = (end < 0 ? target : target[..end]).Split('/');
        var place = route.Pattern.Split('/');
        var fromEnd = place.Length - Array.IndexOf(place, "{client}");
        return Uri.UnescapeDataString(segments[^fromEnd]);
    }
}
