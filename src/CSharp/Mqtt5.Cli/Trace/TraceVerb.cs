using System.Net;
using System.Net.Sockets;
using System.Text;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Traces a server or reads a trace.</summary>
internal static class TraceVerb
{
    /// <summary>Runs what the request asks for.</summary>
    /// <exception cref="UsageException">Something of it cannot be used.</exception>
    public static async Task<int> RunAsync(TraceRequest request, Terminal terminal, CancellationToken stop)
    {
        var server = request.Port is null ? null : ServerAddress.OfUrl(request.Source, namesTopic: false, "/mqtt").Server;

        if (server is null && !File.Exists(request.Source))
            throw new UsageException($"{request.Source}: there is no such file; a server needs --listen");

        foreach (var written in (string?[])[request.Write, request.Pcapng])
        {
            if (server is null && written is not null && Path.GetFullPath(written) == Path.GetFullPath(request.Source))
                throw new UsageException($"{written}: this file is read");
        }

        await using var file = request.Write is { } path ? new StreamWriter(OutputFile.CreatePrivate("--write", path), new UTF8Encoding(false)) { NewLine = "\n" } : null;
        await using var capture = request.Pcapng is { } other ? OutputFile.CreatePrivate("--pcapng", other) : null;
        file?.WriteLine(TraceText.Heading);
        var output = new TraceOutput(request, terminal, file, capture is null ? null : new PcapngWriter(capture));

        if (server is null)
            Read(request, output, stop);
        else
            await ListenAsync(request, server, output, terminal, stop);

        output.Finish();
        return output.Violations > 0 ? ExitCode.Fault : ExitCode.WellFormed;
    }

    private static void Read(TraceRequest request, TraceOutput output, CancellationToken stop)
    {
        if (TraceFile.Capture(request.Source, request.CapturePort) is { } segments)
        {
            var seen = new HashSet<int>();

            foreach (var segment in segments.TakeWhile(_ => !stop.IsCancellationRequested))
            {
                output.Tick(segment.At);

                if (seen.Add(segment.Connection))
                    output.Opened(segment.At, segment.Connection);

                output.Passed(segment.At, segment.Connection, segment.Direction, segment.Bytes.Span);
            }

            return;
        }

        foreach (var record in TraceFile.Records(request.Source).TakeWhile(_ => !stop.IsCancellationRequested))
        {
            output.Tick(record.At);
            output.Recorded(record);
        }
    }

    private static EndPoint Listen(TraceProxy proxy, IPEndPoint endPoint)
    {
        try
        {
            return proxy.Listen(endPoint);
        }
        catch (SocketException exception)
        {
            throw new UsageException($"--listen: {endPoint}: {exception.Message}");
        }
    }

    private static async Task ListenAsync(TraceRequest request, Uri server, TraceOutput output, Terminal terminal, CancellationToken stop)
    {
        if (!IPAddress.TryParse(request.Address, out var address))
            throw new UsageException($"--address: '{request.Address}' is no IP address");

        var options = new MqttClientOptions();
        TlsFiles.Load(request.Tls, options.Tls);

        try
        {
            await using var proxy = new TraceProxy(options.CreateTransport(), server, output, terminal.Error);
            var endPoint = Listen(proxy, new IPEndPoint(address, request.Port!.Value));
            terminal.Output.WriteLine($"listening mqtt://{endPoint}, passing on to {server.ToString().TrimEnd('/')}");
            terminal.Output.Flush();
            await proxy.RunAsync(request.Connections, stop);
        }
        finally
        {
            foreach (var certificate in options.Tls.CertificateAuthorities)
                certificate.Dispose();
        }
    }
}
