using System.Buffers;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Unicode;

namespace Mqtt5.HttpHook.Requests;

// Writes questions. Equal questions have equal bytes, since every member is written, in one order. The password is written
// from its bytes, so that no string has it.
internal static class HookBody
{
    public static byte[] OfConnect(MqttAuthenticationContext context) =>
        Write(json =>
        {
            json.WriteString("clientId"u8, context.ClientId);
            json.WriteString("userName"u8, context.UserName);
            WritePassword(json, context.Password);
            WriteCertificate(json, context.ClientCertificate);
            json.WriteString("address"u8, AddressOf(context.EndPoint));
            json.WriteString("listener"u8, context.Listener);
        });

    public static byte[] OfTopic(MqttClientIdentity client, string action, string topic, string? shareName) =>
        Write(json =>
        {
            json.WriteString("clientId"u8, client.ClientId);
            json.WriteString("userName"u8, client.UserName);
            json.WriteString("action"u8, action);
            json.WriteString("topic"u8, topic);
            json.WriteString("shareName"u8, shareName);
            json.WriteString("address"u8, AddressOf(client.EndPoint));
            json.WriteString("listener"u8, client.Listener);
        });

    private static byte[] Write(Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>(512);

        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        var body = buffer.WrittenSpan.ToArray();
        // It sets to zero what was written.
        buffer.Clear();
        return body;
    }

    private static void WritePassword(Utf8JsonWriter json, ReadOnlyMemory<byte>? password)
    {
        if (password is not { } bytes)
            json.WriteNull("password"u8);
        else if (Utf8.IsValid(bytes.Span))
            json.WriteString("password"u8, bytes.Span);
        else
            json.WriteBase64String("passwordBase64"u8, bytes.Span);
    }

    private static void WriteCertificate(Utf8JsonWriter json, X509Certificate2? certificate)
    {
        if (certificate is null)
        {
            json.WriteNull("certificate"u8);
            return;
        }

        json.WriteStartObject("certificate"u8);
        json.WriteString("subject"u8, certificate.Subject);
        json.WriteString("thumbprint"u8, certificate.GetCertHashString(HashAlgorithmName.SHA256));
        json.WriteEndObject();
    }

    // Without the port, which is another one each time a client connects, so that no answer would be found again.
    private static string? AddressOf(string? endPoint) =>
        IPEndPoint.TryParse(endPoint ?? "", out var parsed) ? parsed.Address.ToString() : endPoint;
}
