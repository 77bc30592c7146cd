#:project ../src/CSharp/Mqtt5.Client/Mqtt5.Client.csproj

// Three workers share a subscription: each job goes to one of them.
//
//   dotnet run examples/shared-workers.cs -- mqtt://localhost

using Mqtt5;

var broker = args.FirstOrDefault() ?? "mqtt://localhost";
const int Jobs = 30;
var done = new CountdownEvent(Jobs);
var workers = new List<MqttClient>();
var counts = new int[3];

for (var index = 0; index < counts.Length; index++)
{
    var worker = index;
    var client = await MqttClient.ConnectAsync(broker);
    workers.Add(client);

    await client.SubscribeAsync("$share/workers/examples/job", async (job, stopping) =>
    {
        await Task.Delay(5, stopping);
        Interlocked.Increment(ref counts[worker]);
        done.Signal();
    });
}

await using (var publisher = await MqttClient.ConnectAsync(broker))
{
    for (var job = 0; job < Jobs; job++)
        await publisher.PublishAsync("examples/job", $"{job}", QoS.AtLeastOnce);
}

done.Wait(TimeSpan.FromSeconds(10));
Console.WriteLine($"{counts.Sum()} jobs done, by each worker: {string.Join(", ", counts)}");

foreach (var worker in workers)
    await worker.DisposeAsync();
