using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.Benchmarks;

/// <summary>Sends small HTTP requests on one connection, one after another with a pause, and takes the time of each.</summary>
internal sealed class RequestProbe : IDisposable
{
    private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly byte[] request;
    private readonly byte[] answer = new byte[4_096];

    /// <param name="port">Where the application listens.</param>
    /// <param name="patience">How long the application may take to start.</param>
    public RequestProbe(int port, TimeSpan patience)
    {
        request = Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"GET /plant/7 HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"));
        var started = Stopwatch.GetTimestamp();

        while (true)
        {
            try
            {
                socket.Connect(IPAddress.Loopback, port);
                return;
            }
            catch (SocketException) when (Stopwatch.GetElapsedTime(started) < patience)
            {
                Thread.Sleep(50);
            }
        }
    }

    /// <summary>Sends requests for some time. Returns the time of each in milliseconds, sorted.</summary>
    /// <exception cref="InvalidOperationException">The application did not answer with 200.</exception>
    public double[] Measure(TimeSpan time, TimeSpan pause)
    {
        var times = new List<double>();
        var started = Stopwatch.GetTimestamp();

        while (Stopwatch.GetElapsedTime(started) < time)
        {
            var sent = Stopwatch.GetTimestamp();
            Ask();
            times.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
            Thread.Sleep(pause);
        }

        times.Sort();
        return [.. times];
    }

    public void Dispose() => socket.Dispose();

    private void Ask()
    {
        socket.Send(request);
        var length = 0;

        // The answer of Kestrel to a small value is one segment with a Content-Length, or two chunks.
        do
        {
            var count = socket.Receive(answer, length, answer.Length - length, SocketFlags.None);

            if (count == 0)
                throw new InvalidOperationException("the application closed the connection");

            length += count;
        }
        while (!IsWhole(answer.AsSpan(0, length)));

        if (!answer.AsSpan().StartsWith("HTTP/1.1 200"u8))
            throw new InvalidOperationException(Encoding.ASCII.GetString(answer, 0, length));
    }

    private static bool IsWhole(ReadOnlySpan<byte> text)
    {
        var body = text.IndexOf("\r\n\r\n"u8);

        if (body < 0)
            return false;

        var field = text.IndexOf("Content-Length: "u8);
        return field < 0
            ? text.EndsWith("0\r\n\r\n"u8)
            : text.Length == body + 4 + Length(text[(field + "Content-Length: ".Length)..]);
    }

    private static int Length(ReadOnlySpan<byte> text) =>
        int.Parse(text[..text.IndexOf((byte)'\r')], NumberStyles.None, CultureInfo.InvariantCulture);
}
