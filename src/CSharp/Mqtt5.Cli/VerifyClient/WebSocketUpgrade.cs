using System.Diagnostics.CodeAnalysis;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>The server's part of the opening handshake of a WebSocket (RFC 6455, section 4.2), on a stream of bytes.</summary>
internal static class WebSocketUpgrade
{
    private const int LongestRequestBytes = 16 * 1024;
    private const string Subprotocol = "mqtt";

    // What the key of the client is hashed with, by section 1.3.
    private const string AcceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    /// <summary>Whether these first bytes of a connection begin an HTTP request. No packet of a client begins so.</summary>
    public static bool IsAsked(ReadOnlySpan<byte> first) => first is [(byte)'G', ..];

    /// <summary>
    /// Accepts a WebSocket, with the subprotocol mqtt where it is offered; null: the request is none for a WebSocket, or the
    /// client has closed the connection.
    /// </summary>
    /// <param name="stream">The connection.</param>
    /// <param name="first">What was read from it already.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="IOException">The connection is lost.</exception>
    public static async Task<WebSocket?> AcceptAsync(Stream stream, ReadOnlyMemory<byte> first, CancellationToken cancellationToken)
    {
        var request = Encoding.Latin1.GetString(first.Span);
        var buffer = new byte[1];

        // By single bytes, since what follows the request belongs to the WebSocket.
        while (!request.EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (request.Length >= LongestRequestBytes || await stream.ReadAsync(buffer, cancellationToken) == 0)
                return null;

            request += (char)buffer[0];
        }

        if (ValuesOf(request, "Sec-WebSocket-Key") is not [var key])
            return null;

        var isOffered = ValuesOf(request, "Sec-WebSocket-Protocol").Contains(Subprotocol);
        var answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + $"Sec-WebSocket-Accept: {AcceptOf(key)}\r\n"
            + (isOffered ? $"Sec-WebSocket-Protocol: {Subprotocol}\r\n" : "")
            + "\r\n";
        await stream.WriteAsync(Encoding.Latin1.GetBytes(answer), cancellationToken);
        return WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = true, SubProtocol = isOffered ? Subprotocol : null });
    }

    // The values of a header field, which can be there several times and list several.
    private static string[] ValuesOf(string request, string name) =>
        [.. request.Split("\r\n")
            .Skip(1)
            .Select(line => line.Split(':', 2))
            .Where(field => field.Length == 2 && field[0].Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
            .SelectMany(field => field[1].Split(',', StringSplitOptions.TrimEntries))];

    [SuppressMessage("Security", "CA5350", Justification = "RFC 6455 requires SHA-1 here; it protects nothing.")]
    private static string AcceptOf(string key) => Convert.ToBase64String(SHA1.HashData(Encoding.Latin1.GetBytes(key + AcceptSuffix)));
}
