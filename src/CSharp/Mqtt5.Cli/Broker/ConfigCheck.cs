using Mqtt5.Admin;

namespace Mqtt5.Cli;

/// <summary>Checks what <c>mqtt5 broker</c> is asked for without starting anything: nothing is bound, opened for writing or made.</summary>
internal static class ConfigCheck
{
    /// <summary>Checks the request and reads its files as a start would.</summary>
    /// <exception cref="UsageException">A file or a setting cannot be used; the message names both.</exception>
    /// <exception cref="ArgumentException">A value is out of its range.</exception>
    /// <exception cref="InvalidOperationException">Settings contradict each other.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static async Task RunAsync(BrokerRequest request, Action<MqttBrokerOptions, BrokerAccess, BrokerCertificates> configure, Terminal terminal, CancellationToken cancellationToken)
    {
        var access = new BrokerAccess(await AccessState.LoadAsync(request, cancellationToken));
        using var certificates = new BrokerCertificates(request);
        var options = new MqttBrokerOptions();
        configure(options, access, certificates);
        options.Validate();

        if (request.Store is { } folder && File.Exists(folder))
            throw new UsageException($"store: {folder}: it is a file, and a folder is needed");

        if (request.AdminPort is not null)
            CheckTokens(BrokerAdmin.TokenFileOf(request, terminal));
    }

    // A file that is not there is made at the start.
    private static void CheckTokens(string file)
    {
        try
        {
            if (File.Exists(file))
                MqttAdminServer.CheckTokenFile(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"admin-token-file: {exception.Message}");
        }
    }
}
