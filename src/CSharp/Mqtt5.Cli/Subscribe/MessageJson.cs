using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Mqtt5.Cli;

/// <summary>A message as JSON, with the members of mosquitto_sub in their order.</summary>
internal static class MessageJson
{
    /// <summary>Writes a message; its payload is a string, or an array of bytes where it is no text.</summary>
    public static void Write(PrintedMessage printed, bool isPretty, IBufferWriter<byte> output)
    {
        var json = new JsonText(output, isPretty);
        WriteHead(json, printed);
        var payload = printed.Message.Payload.Span;

        if (payload.IsEmpty)
        {
            json.Literal("null");
        }
        else if (Utf8.IsValid(payload) && !payload.Contains((byte)0))
        {
            json.String(Encoding.UTF8.GetString(payload));
        }
        else
        {
            json.BeginArray();

            foreach (var value in payload)
            {
                json.Item();
                json.Number(value);
            }

            json.EndArray();
        }

        json.EndObject();
    }

    /// <summary>Writes a message whose payload is JSON itself; false when it is not, and then nothing.</summary>
    public static bool TryWriteWithPayload(PrintedMessage printed, bool isPretty, IBufferWriter<byte> output)
    {
        if (printed.Message.Payload.IsEmpty)
        {
            Write(printed, isPretty, output);
            return true;
        }

        try
        {
            using var document = JsonDocument.Parse(printed.Message.Payload, new JsonDocumentOptions { MaxDepth = 1000 });
            var json = new JsonText(output, isPretty);
            WriteHead(json, printed);
            WriteElement(json, document.RootElement);
            json.EndObject();
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static void WriteHead(JsonText json, PrintedMessage printed)
    {
        var message = printed.Message;
        json.BeginObject();
        Member(json, "tst", TimeFormat.Json(printed.Time));
        Member(json, "topic", message.Topic);
        Member(json, "qos", (int)message.QoS);
        Member(json, "retain", message.Retain ? 1 : 0);
        Member(json, "payloadlen", message.Payload.Length);

        if (message.PacketIdentifier is { } id)
            Member(json, "mid", id);

        WriteProperties(json, printed);
        json.Name("payload");
    }

    // In the order of the encoder of this project.
    private static void WriteProperties(JsonText json, PrintedMessage printed)
    {
        var message = printed.Message;

        if (message.IsText is null && message.Expiry is null && message.ResponseTopic is null && message.CorrelationData is null
            && message.UserProperties.IsEmpty && printed.SubscriptionIdentifier is null && message.ContentType is null)
        {
            return;
        }

        json.Name("properties");
        json.BeginObject();

        if (message.IsText is { } isText)
            Member(json, "payload-format-indicator", isText ? 1 : 0);

        if (printed.ExpirySeconds is { } expiry)
            Member(json, "message-expiry-interval", expiry);

        if (message.ResponseTopic is { } responseTopic)
            Member(json, "response-topic", responseTopic);

        if (message.CorrelationData is { } correlation)
            Member(json, "correlation-data", Encoding.UTF8.GetString(correlation.Span));

        if (!message.UserProperties.IsEmpty)
        {
            json.Name("user-properties");
            json.BeginObject();

            foreach (var property in message.UserProperties)
                Member(json, property.Name.Text, property.Value.Text);

            json.EndObject();
        }

        if (printed.SubscriptionIdentifier is { } identifier)
            Member(json, "subscription-identifier", identifier);

        if (message.ContentType is { } contentType)
            Member(json, "content-type", contentType);

        json.EndObject();
    }

    private static void Member(JsonText json, string name, string value)
    {
        json.Name(name);
        json.String(value);
    }

    private static void Member(JsonText json, string name, double value)
    {
        json.Name(name);
        json.Number(value);
    }

    private static void WriteElement(JsonText json, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                json.BeginObject();

                foreach (var member in element.EnumerateObject())
                {
                    json.Name(member.Name);
                    WriteElement(json, member.Value);
                }

                json.EndObject();
                break;
            case JsonValueKind.Array:
                json.BeginArray();

                foreach (var item in element.EnumerateArray())
                {
                    json.Item();
                    WriteElement(json, item);
                }

                json.EndArray();
                break;
            case JsonValueKind.String:
                json.String(element.GetString()!);
                break;
            case JsonValueKind.Number:
                json.Number(double.Parse(element.GetRawText(), NumberStyles.Float, CultureInfo.InvariantCulture));
                break;
            default:
                json.Literal(element.GetRawText());
                break;
        }
    }
}
