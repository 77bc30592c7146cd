using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>Connects once and tells what the server answered.</summary>
internal static class ConnectVerb
{
    /// <summary>Runs it.</summary>
    /// <exception cref="MqttException">There was no answer.</exception>
    public static async Task<int> RunAsync(Target target, bool isJson, Terminal terminal, CancellationToken cancellationToken)
    {
        var options = target.Options();
        await using var client = new MqttClient(options);
        var began = Stopwatch.GetTimestamp();

        try
        {
            var result = await client.OpenAsync(cancellationToken);
            var took = Stopwatch.GetElapsedTime(began);
            Tell(new ConnectReport(target, options, client.ClientId, result, took), isJson, terminal);
            return ExitCode.WellFormed;
        }
        catch (MqttConnectException failure) when (failure.Result is { } refused)
        {
            // A refusal of the server is an answer as well.
            Tell(new ConnectReport(target, options, null, refused, Stopwatch.GetElapsedTime(began)), isJson, terminal);
            throw;
        }
    }

    private static void Tell(ConnectReport report, bool isJson, Terminal terminal)
    {
        if (isJson)
            terminal.Output.WriteLine(report.ToJson());
        else
            report.Write(new Screen(terminal));
    }
}
