namespace Mqtt5.CliTests.Storage;

// Stores to begin a test with, and the tracer of what a broker does with its store.
internal static class StoreImage
{
    public const string Tracer = "/usr/bin/strace";

    // Makes a store with the session of a load.
    public static async Task MakeAsync(string store)
    {
        await using var broker = await BrokerProcess.StartAsync("--port", "0", "--store", store);
        await NumberedLoad.SubscribeAsync(broker.Address);
        Assert.Equal(0, await broker.StopAsync());
    }

    public static void Copy(string image, string store)
    {
        Directory.CreateDirectory(store);

        foreach (var file in Directory.EnumerateFiles(image))
            File.Copy(file, Path.Combine(store, Path.GetFileName(file)));
    }
}
